package org.paddleportage.core;

import java.util.Arrays;

/**
 * {@code PIL.Image.resize} on uint8, equal to the last bit.
 *
 * <p>A filter as wide as the reduction (so nothing is skipped when a photo shrinks), first across,
 * then down, each with weights of 22 bits and rounded to uint8; first down where more than twice as
 * many rows as columns fall away, which rounds otherwise.
 */
final class PillowResampling implements Resizer {
    /** A filter: how much a pixel counts at a distance from the centre, up to {@code reach}. */
    abstract static class Filter {
        final double reach;

        Filter(double reach) {
            this.reach = reach;
        }

        abstract double at(double distance);
    }

    static final Filter BILINEAR =
            new Filter(1) {
                @Override
                double at(double distance) {
                    return Math.max(0, 1 - Math.abs(distance));
                }
            };

    /** Keys' cubic convolution with a = −1/2 (IEEE Trans. ASSP 29, 1981). */
    static final Filter BICUBIC =
            new Filter(2) {
                private static final double A = -0.5;

                @Override
                double at(double distance) {
                    double x = Math.abs(distance);
                    if (x < 1) {
                        return ((A + 2) * x - (A + 3)) * x * x + 1;
                    }
                    return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
                }
            };

    private static final int BITS = 22;
    private static final int HALF = 1 << (BITS - 1);

    private final Filter filter;

    PillowResampling(Filter filter) {
        this.filter = filter;
    }

    @Override
    public byte[] resize(Photo photo, int width, int height, int left, int top, int side) {
        Taps across = new Taps(filter, photo.width(), width, left, side);
        Taps down = new Taps(filter, photo.height(), height, top, side);
        boolean tall = photo.height() - height > Math.max(0, 2 * (photo.width() - width));
        return tall ? downFirst(photo, across, down, side) : acrossFirst(photo, across, down, side);
    }

    private static byte[] downFirst(Photo photo, Taps across, Taps down, int side) {
        byte[] crop = new byte[3 * side * side];
        int[] argb = new int[photo.width()];
        int[] sums = new int[3 * photo.width()];
        for (int y = 0; y < side; y++) {
            Arrays.fill(sums, HALF);
            int row = down.start[y];
            for (int weight : down.weights[y]) {
                photo.row(row++, argb);
                for (int i = 0; i < sums.length; i++) {
                    sums[i] += (argb[i / 3] >> 16 - 8 * (i % 3) & 0xFF) * weight;
                }
            }
            Arrays.fill(argb, 0);
            for (int i = 0; i < sums.length; i++) {
                argb[i / 3] |= (clipped(sums[i]) & 0xFF) << 16 - 8 * (i % 3);
            }
            System.arraycopy(across(argb, across), 0, crop, 3 * side * y, 3 * side);
        }
        return crop;
    }

    private static byte[] acrossFirst(Photo photo, Taps across, Taps down, int side) {
        int firstRow = down.start[0];
        int rows = down.start[side - 1] + down.weights[side - 1].length - firstRow;
        byte[][] narrowed = new byte[rows][];
        int[] argb = new int[photo.width()];
        for (int y = 0; y < rows; y++) {
            photo.row(firstRow + y, argb);
            narrowed[y] = across(argb, across);
        }
        byte[] crop = new byte[3 * side * side];
        for (int y = 0; y < side; y++) {
            int[] weights = down.weights[y];
            int start = down.start[y] - firstRow;
            for (int i = 0; i < 3 * side; i++) {
                int sum = HALF;
                for (int k = 0; k < weights.length; k++) {
                    sum += (narrowed[start + k][i] & 0xFF) * weights[k];
                }
                crop[3 * side * y + i] = clipped(sum);
            }
        }
        return crop;
    }

    private static byte[] across(int[] argb, Taps taps) {
        byte[] row = new byte[3 * taps.start.length];
        for (int x = 0; x < taps.start.length; x++) {
            int red = HALF;
            int green = HALF;
            int blue = HALF;
            int at = taps.start[x];
            for (int weight : taps.weights[x]) {
                int pixel = argb[at++];
                red += (pixel >> 16 & 0xFF) * weight;
                green += (pixel >> 8 & 0xFF) * weight;
                blue += (pixel & 0xFF) * weight;
            }
            row[3 * x] = clipped(red);
            row[3 * x + 1] = clipped(green);
            row[3 * x + 2] = clipped(blue);
        }
        return row;
    }

    private static byte clipped(int sum) {
        return (byte) Math.min(Math.max(sum >> BITS, 0), 255);
    }

    /** For each wanted pixel along one side: the first source pixel, and the weights from there. */
    private static final class Taps {
        final int[] start;
        final int[][] weights;

        Taps(Filter filter, int from, int to, int first, int count) {
            start = new int[count];
            weights = new int[count][];
            double scale = (double) from / to;
            double stretch = Math.max(scale, 1);
            double reach = filter.reach * stretch;
            double step = 1 / stretch;
            for (int i = 0; i < count; i++) {
                double centre = (first + i + 0.5) * scale;
                int low = Math.max((int) (centre - reach + 0.5), 0);
                int high = Math.min((int) (centre + reach + 0.5), from);
                double[] shares = new double[high - low];
                double sum = 0;
                for (int k = 0; k < shares.length; k++) {
                    shares[k] = filter.at((k + low - centre + 0.5) * step);
                    sum += shares[k];
                }
                start[i] = low;
                weights[i] = new int[shares.length];
                for (int k = 0; k < shares.length; k++) {
                    double share = sum == 0 ? shares[k] : shares[k] / sum;
                    weights[i][k] = (int) (share * (1 << BITS) + (share < 0 ? -0.5 : 0.5));
                }
            }
        }
    }
}
