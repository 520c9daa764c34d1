package org.paddleportage.core;

import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;

/**
 * The shape of the photos that an ONNX file says it takes. Read from the file itself, since OpenCV
 * computes on photos of any size where the layers allow it, without a word.
 *
 * <p>The file is a protobuf message (onnx.proto): fields, each a number and a kind, then a number or
 * so many bytes, which may be a message again.
 */
public final class OnnxInput {
    // ModelProto.graph, GraphProto.input, ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape.
    private static final int[] TO_SHAPE = {7, 11, 2, 1, 2};
    private static final int DIMENSION = 1;
    private static final int DIMENSION_VALUE = 1;
    private static final int HEIGHT = 2; // of batch, channels, height, width

    // How protobuf says what follows a field's number.
    private static final int VARINT = 0;
    private static final int EIGHT_BYTES = 1;
    private static final int COUNTED_BYTES = 2;
    private static final int FOUR_BYTES = 5;

    private final RandomAccessFile in;

    private OnnxInput(RandomAccessFile in) {
        this.in = in;
    }

    /** Refuses a model that says it takes photos of another height and width than {@code side}. */
    public static void requireSide(File model, int side) throws PortageException {
        try (RandomAccessFile in = new RandomAccessFile(model, "r")) {
            new OnnxInput(in).requireSide(model.getName(), side);
        } catch (EOFException cutShort) {
            // The library says what is wrong with such a file.
        } catch (IOException error) {
            throw WholeFile.unreadable(model, error);
        }
    }

    private void requireSide(String name, int side) throws IOException, PortageException {
        long end = in.length();
        for (int field : TO_SHAPE) {
            end = enter(field, end);
        }
        for (int i = 0; in.getFilePointer() < end; i++) {
            long dimensionEnd = enter(DIMENSION, end);
            long size = size(dimensionEnd);
            if (i >= HEIGHT && size > 0 && size != side) {
                throw new PortageException(Fault.INPUT_SIZE, name, size, side);
            }
            in.seek(dimensionEnd);
        }
    }

    /** A dimension's size; 0 where it has only a name. */
    private long size(long end) throws IOException {
        if (in.getFilePointer() == end) {
            return 0;
        }
        return varint() == (DIMENSION_VALUE << 3 | VARINT) ? varint() : 0;
    }

    /** Goes into the next message that is a field of that number, and returns where it ends. */
    private long enter(int field, long end) throws IOException {
        while (in.getFilePointer() < end) {
            long key = varint();
            int kind = (int) key & 7;
            long bytes = kind == COUNTED_BYTES ? varint() : 0;
            if (key >> 3 == field && kind == COUNTED_BYTES) {
                return in.getFilePointer() + bytes;
            }
            skip(kind, bytes);
        }
        throw new EOFException("no field " + field);
    }

    private void skip(int kind, long bytes) throws IOException {
        switch (kind) {
            case VARINT:
                varint();
                break;
            case EIGHT_BYTES:
                in.seek(in.getFilePointer() + 8);
                break;
            case COUNTED_BYTES:
                in.seek(in.getFilePointer() + bytes);
                break;
            case FOUR_BYTES:
                in.seek(in.getFilePointer() + 4);
                break;
            default:
                throw new EOFException("no protobuf");
        }
    }

    /** A number of seven bits a byte, the lowest first; the last byte's highest bit is clear. */
    private long varint() throws IOException {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            int next = in.readUnsignedByte();
            value |= (long) (next & 0x7F) << shift;
            if (next < 0x80) {
                return value;
            }
        }
        throw new EOFException("no protobuf");
    }
}
