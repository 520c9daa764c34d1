package org.paddleportage.core;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * What a Paddle Lite {@code .nb} file says about itself, read before the library sees it: a library
 * of another version ends the whole app.
 *
 * @param version the optimizer's that wrote the file; a library must be of the same
 * @param topologyBytes the size of the program, which follows the header
 */
public record NbHeader(String version, long topologyBytes) {
    private static final int FORMAT = 2;
    private static final int VERSION_BYTES = 16;
    private static final int BYTES = 2 + VERSION_BYTES + 8;

    /** Reads a file's header: uint16 format, char[16] version, uint64 topology size. */
    public static NbHeader read(File file) throws PortageException {
        byte[] bytes = new byte[BYTES];
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
            in.readFully(bytes);
        } catch (EOFException tooShort) {
            throw new PortageException(Fault.NOT_NB, file.getName());
        } catch (IOException error) {
            throw WholeFile.unreadable(file, error);
        }
        ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int format = header.getShort();
        byte[] version = new byte[VERSION_BYTES];
        header.get(version);
        long topology = header.getLong();
        if (format != FORMAT) {
            throw new PortageException(Fault.NOT_NB, file.getName());
        }
        if (topology < 0 || topology > file.length() - BYTES) {
            throw new PortageException(
                    Fault.NB_CUT_SHORT, file.getName(), file.length(), BYTES + topology);
        }
        return new NbHeader(upToZero(version), topology);
    }

    /** Refuses a library of another version than the one that wrote the file. */
    public void requireLibrary(String libraryVersion) throws PortageException {
        // The field holds no more than sixteen characters of a longer name.
        boolean cut = version.length() == VERSION_BYTES && libraryVersion.startsWith(version);
        if (!cut && !libraryVersion.equals(version)) {
            throw new PortageException(Fault.NB_VERSION, version, libraryVersion);
        }
    }

    /** What follows the first zero byte is left over from something else. */
    private static String upToZero(byte[] field) {
        int end = 0;
        while (end < field.length && field[end] != 0) {
            end++;
        }
        return new String(field, 0, end, StandardCharsets.ISO_8859_1);
    }
}
