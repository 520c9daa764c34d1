package org.paddleportage.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** Whole files, read with what Android 6 has (java.nio.file came with 8). */
final class WholeFile {
    private WholeFile() {}

    static String text(File file) throws PortageException {
        return new String(bytes(file), StandardCharsets.UTF_8);
    }

    static byte[] bytes(File file) throws PortageException {
        try (InputStream in = new FileInputStream(file)) {
            ByteArrayOutputStream out = new ByteArrayOutputStream((int) file.length());
            byte[] block = new byte[1 << 16];
            for (int got = in.read(block); got >= 0; got = in.read(block)) {
                out.write(block, 0, got);
            }
            return out.toByteArray();
        } catch (IOException error) {
            throw unreadable(file, error);
        }
    }

    static PortageException unreadable(File file, IOException error) {
        if (!file.exists()) {
            return new PortageException(Fault.MISSING, file.getName());
        }
        return new PortageException(Fault.UNREADABLE, file.getName(), error.getMessage());
    }
}
