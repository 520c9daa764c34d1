package org.paddleportage.core;

/**
 * {@code cv2.resize(..., INTER_LINEAR)} on uint8, equal to the last bit.
 *
 * <p>Each side is interpolated between two pixels with weights of 11 bits. A row is first
 * interpolated across, which keeps 19 bits, then two rows down: each is cut to 15 bits, multiplied,
 * cut to 10 bits, and their sum rounded. (Halving both sides exactly is another function in OpenCV,
 * but the same numbers: all weights are a half then, and nothing is cut.)
 */
final class OpenCvBilinear implements Resizer {
    private static final int ONE = 1 << 11;

    @Override
    public byte[] resize(Photo photo, int width, int height, int left, int top, int side) {
        Axis across = new Axis(photo.width(), width, left, side);
        Axis down = new Axis(photo.height(), height, top, side);
        byte[] crop = new byte[3 * side * side];
        int[] argb = new int[photo.width()];
        Row upper = new Row(side);
        Row lower = new Row(side);
        for (int y = 0; y < side; y++) {
            if (lower.y == down.first[y]) {
                Row spare = upper;
                upper = lower;
                lower = spare;
            }
            upper.read(photo, down.first[y], across, argb);
            // Both rows are one at the photo's edges.
            Row other = down.second[y] == down.first[y] ? upper : lower;
            other.read(photo, down.second[y], across, argb);
            int weight = down.weight[y];
            for (int i = 0; i < 3 * side; i++) {
                int above = ((ONE - weight) * (upper.values[i] >> 4)) >> 16;
                int below = (weight * (other.values[i] >> 4)) >> 16;
                crop[3 * side * y + i] = (byte) ((above + below + 2) >> 2);
            }
        }
        return crop;
    }

    /** Where each wanted pixel along one side comes from: two source pixels, weight of the second. */
    private static final class Axis {
        final int[] first;
        final int[] second;
        final int[] weight;

        Axis(int from, int to, int start, int count) {
            first = new int[count];
            second = new int[count];
            weight = new int[count];
            double scale = 1.0 / ((double) to / from); // not from / to, which rounds differently
            for (int i = 0; i < count; i++) {
                float centre = (float) ((start + i + 0.5) * scale - 0.5);
                int at = (int) Math.floor(centre);
                first[i] = Math.min(Math.max(at, 0), from - 1);
                second[i] = Math.min(Math.max(at + 1, 0), from - 1);
                weight[i] = (int) Math.rint((centre - at) * ONE);
            }
        }
    }

    /** A source row, interpolated across: values of 8 + 11 bits. */
    private static final class Row {
        final int[] values;
        int y = -1;

        Row(int side) {
            values = new int[3 * side];
        }

        void read(Photo photo, int row, Axis across, int[] argb) {
            if (row == y) {
                return;
            }
            photo.row(row, argb);
            y = row;
            int at = 0;
            for (int x = 0; x < across.first.length; x++) {
                int first = argb[across.first[x]];
                int second = argb[across.second[x]];
                int weight = across.weight[x];
                for (int shift = 16; shift >= 0; shift -= 8) {
                    values[at++] = (first >> shift & 0xFF) * (ONE - weight)
                            + (second >> shift & 0xFF) * weight;
                }
            }
        }
    }
}
