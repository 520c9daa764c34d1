package org.paddleportage.core;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Photos after resizing and cropping, their right classes, and the reference's logits. */
public final class Golden {
    private final int photoBytes;
    private final byte[] crops;
    private final float[][] logits;
    private final int[] labels;

    private Golden(int photoBytes, byte[] crops, float[][] logits, int[] labels) {
        this.photoBytes = photoBytes;
        this.crops = crops;
        this.logits = logits;
        this.labels = labels;
    }

    static Golden read(File folder, int side, int classes) throws PortageException {
        Fields about = Fields.parse(WholeFile.text(new File(folder, "golden.json")), "golden.json");
        int count = about.count("count");
        int[] shape = about.indices("shape", 4, Integer.MAX_VALUE);
        if (!Arrays.equals(shape, new int[] {count, side, side, 3}) || count == 0) {
            throw about.wrong("shape");
        }
        int photoBytes = 3 * side * side;
        byte[] crops = exactly(new File(folder, "crops.bin"), (long) count * photoBytes);
        byte[] numbers = exactly(new File(folder, "logits.bin"), 4L * count * classes);
        ByteBuffer buffer = ByteBuffer.wrap(numbers).order(ByteOrder.LITTLE_ENDIAN);
        float[][] logits = new float[count][classes];
        for (int photo = 0; photo < count; photo++) {
            for (int i = 0; i < classes; i++) {
                logits[photo][i] = buffer.getFloat();
            }
        }
        return new Golden(photoBytes, crops, logits, about.indices("labels", count, classes));
    }

    private static byte[] exactly(File file, long length) throws PortageException {
        byte[] bytes = WholeFile.bytes(file);
        if (bytes.length != length) {
            throw new PortageException(Fault.WRONG_SIZE, file.getName(), bytes.length, length);
        }
        return bytes;
    }

    public int count() {
        return labels.length;
    }

    /** A photo: uint8 [S, S, 3], RGB. */
    public byte[] crop(int photo) {
        return Arrays.copyOfRange(crops, photo * photoBytes, (photo + 1) * photoBytes);
    }

    /** What the reference computed for a photo: float32 [classes]. */
    public float[] logits(int photo) {
        return logits[photo].clone();
    }

    /** The right class of a photo. */
    public int label(int photo) {
        return labels[photo];
    }
}
