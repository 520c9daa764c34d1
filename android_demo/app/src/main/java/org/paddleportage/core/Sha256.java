package org.paddleportage.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** The SHA-256 of a file's bytes. */
final class Sha256 {
    private Sha256() {}

    /** As 64 hexadecimal digits. */
    static String of(File file) throws PortageException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) { // every Java and every Android has it
            throw new AssertionError(impossible);
        }
        try (InputStream in = new FileInputStream(file)) {
            byte[] block = new byte[1 << 16];
            for (int got = in.read(block); got >= 0; got = in.read(block)) {
                digest.update(block, 0, got);
            }
        } catch (IOException error) {
            throw WholeFile.unreadable(file, error);
        }
        StringBuilder hexadecimal = new StringBuilder();
        for (byte value : digest.digest()) {
            hexadecimal.append(Character.forDigit(value >> 4 & 0xF, 16));
            hexadecimal.append(Character.forDigit(value & 0xF, 16));
        }
        return hexadecimal.toString();
    }
}
