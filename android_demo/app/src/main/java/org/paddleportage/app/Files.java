package org.paddleportage.app;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** Files, without java.nio.file, which Android has since version 8 only. */
final class Files {
    private Files() {}

    static byte[] read(File file) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (InputStream in = new FileInputStream(file)) {
            copy(in, bytes);
        }
        return bytes.toByteArray();
    }

    /** Writes a file that takes its name only once it is whole. */
    static void write(File file, byte[] bytes) throws IOException {
        file.getParentFile().mkdirs();
        File part = new File(file.getPath() + ".part");
        try (OutputStream out = new FileOutputStream(part)) {
            out.write(bytes);
        }
        if (!part.renameTo(file)) {
            throw new IOException(file.getName() + " cannot be renamed");
        }
    }

    static void copy(InputStream in, OutputStream out) throws IOException {
        byte[] buffer = new byte[1 << 16];
        for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
            out.write(buffer, 0, count);
        }
    }

    /** Deletes a file, or a folder with all that is inside. */
    static void delete(File file) {
        File[] inside = file.listFiles();
        if (inside != null) {
            for (File one : inside) {
                delete(one);
            }
        }
        file.delete();
    }
}
