package org.paddleportage.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, as 64 hexadecimal digits. */
final class Sha256 {
    private static final int SHORT = 12;

    private Sha256() {}

    static String of(byte[] content) {
        return hexadecimal(sha256().digest(content));
    }

    /** Of a file's bytes. */
    static String of(File file) throws PortageException {
        MessageDigest digest = sha256();
        try (InputStream in = new FileInputStream(file)) {
            byte[] block = new byte[1 << 16];
            for (int got = in.read(block); got >= 0; got = in.read(block)) {
                digest.update(block, 0, got);
            }
        } catch (IOException error) {
            throw WholeFile.unreadable(file, error);
        }
        return hexadecimal(digest.digest());
    }

    /** The first digits, which are enough for a sentence. */
    static String shortened(String sha256) {
        return sha256.substring(0, Math.min(SHORT, sha256.length()));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) { // every Java and every Android has it
            throw new AssertionError(impossible);
        }
    }

    private static String hexadecimal(byte[] bytes) {
        StringBuilder hexadecimal = new StringBuilder();
        for (byte value : bytes) {
            hexadecimal.append(Character.forDigit(value >> 4 & 0xF, 16));
            hexadecimal.append(Character.forDigit(value & 0xF, 16));
        }
        return hexadecimal.toString();
    }
}
