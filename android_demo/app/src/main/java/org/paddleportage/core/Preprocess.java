package org.paddleportage.core;

/**
 * How a photo becomes a network's input: resize the short side, cut the centre out, scale and shift
 * each channel.
 *
 * <p>The toolkit's {@code data/preprocess.py} in Java, and equal to it to the last bit: the same
 * sizes, the same fixed-point resizing, the same order of float32 operations.
 */
public final class Preprocess {
    // As in the toolkit: a strip one pixel wide grows 256-fold in length too.
    private static final long MAX_RESIZED_PIXELS = 1L << 28;

    private final int resizeShort;
    private final int side;
    private final Resizer resizer;
    private final float[][] table = new float[3][256];

    private Preprocess(int resizeShort, int side, Resizer resizer, float[] mean, float[] std) {
        this.resizeShort = resizeShort;
        this.side = side;
        this.resizer = resizer;
        for (int channel = 0; channel < 3; channel++) {
            for (int x = 0; x < 256; x++) {
                table[channel][x] = (x * (float) (1.0 / 255.0) - mean[channel]) / std[channel];
            }
        }
    }

    /**
     * Reads a package's {@code preprocess.json}.
     *
     * @param name what error messages call it
     */
    public static Preprocess fromJson(String text, String name) throws PortageException {
        Fields fields = Fields.parse(text, name);
        int resizeShort = fields.count("resize_short");
        int side = fields.count("crop");
        if (side < 1 || side > resizeShort) {
            throw fields.wrong("crop");
        }
        Resizer resizer = Resizer.find(fields.text("library"), fields.text("interpolation"));
        float[] std = fields.floats("std", 3);
        for (float value : std) {
            if (value == 0) {
                throw fields.wrong("std");
            }
        }
        return new Preprocess(resizeShort, side, resizer, fields.floats("mean", 3), std);
    }

    /** S: the width and height of a crop, in pixels. */
    public int side() {
        return side;
    }

    /** The centre of a photo after resizing: uint8 [S, S, 3], RGB. */
    public byte[] crop(Photo photo) throws PortageException {
        double percent = (double) resizeShort / Math.min(photo.width(), photo.height());
        // Math.rint rounds halves to even, as Python's round does.
        double width = Math.rint(photo.width() * percent);
        double height = Math.rint(photo.height() * percent);
        if (width * height > MAX_RESIZED_PIXELS) {
            throw new PortageException(Fault.TOO_NARROW, photo.width(), photo.height());
        }
        int left = ((int) width - side) / 2;
        int top = ((int) height - side) / 2;
        return resizer.resize(photo, (int) width, (int) height, left, top, side);
    }

    /** A crop uint8 [S, S, 3] → the network's input float32 [3, S, S]. */
    public float[] normalize(byte[] crop) {
        int plane = side * side;
        if (crop.length != 3 * plane) {
            throw new IllegalArgumentException(crop.length + " bytes for a side of " + side);
        }
        float[] chw = new float[3 * plane];
        for (int channel = 0; channel < 3; channel++) {
            float[] values = table[channel];
            for (int i = 0; i < plane; i++) {
                chw[channel * plane + i] = values[crop[3 * i + channel] & 0xFF];
            }
        }
        return chw;
    }

    /** A photo → the network's input float32 [3, S, S]. */
    public float[] chw(Photo photo) throws PortageException {
        return normalize(crop(photo));
    }
}
