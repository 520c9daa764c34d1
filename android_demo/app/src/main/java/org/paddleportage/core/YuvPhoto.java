package org.paddleportage.core;

import java.nio.ByteBuffer;

/**
 * A camera's frame: luminance in full, colour in half resolution, turned upright while it is read.
 *
 * <p>The conversion is JPEG's (JFIF 1.02), which Android's cameras use: R = Y + 1.402 Cr',
 * G = Y − 0.344136 Cb' − 0.714136 Cr', B = Y + 1.772 Cb', with Cb' = Cb − 128, here with 16 bits
 * behind the point.
 */
public final class YuvPhoto implements Photo {
    private static final int HALF = 1 << 15;

    private final byte[] y;
    private final byte[] u;
    private final byte[] v;
    private final int yRow;
    private final int colourRow;
    private final int colourStep;
    private final int width;
    private final int height;
    private final int turn;

    /**
     * Copies a frame's planes.
     *
     * @param yRow bytes from a row of luminance to the next
     * @param colourRow bytes from a row of {@code u}, and of {@code v}, to the next
     * @param colourStep bytes from a value of {@code u}, and of {@code v}, to the next: 1 or 2
     * @param turn by how much the frame is to be turned clockwise: 0, 90, 180 or 270 degrees
     */
    public YuvPhoto(
            ByteBuffer y,
            ByteBuffer u,
            ByteBuffer v,
            int yRow,
            int colourRow,
            int colourStep,
            int width,
            int height,
            int turn) {
        this.y = copy(y);
        this.u = copy(u);
        this.v = copy(v);
        this.yRow = yRow;
        this.colourRow = colourRow;
        this.colourStep = colourStep;
        this.width = width;
        this.height = height;
        this.turn = turn;
    }

    private static byte[] copy(ByteBuffer plane) {
        ByteBuffer from = plane.duplicate();
        byte[] bytes = new byte[from.remaining()];
        from.get(bytes);
        return bytes;
    }

    @Override
    public int width() {
        return turn % 180 == 0 ? width : height;
    }

    @Override
    public int height() {
        return turn % 180 == 0 ? height : width;
    }

    @Override
    public void row(int row, int[] argb) {
        int count = width();
        for (int i = 0; i < count; i++) {
            switch (turn) {
                case 90:
                    argb[i] = pixel(row, height - 1 - i);
                    break;
                case 180:
                    argb[i] = pixel(width - 1 - i, height - 1 - row);
                    break;
                case 270:
                    argb[i] = pixel(width - 1 - row, i);
                    break;
                default:
                    argb[i] = pixel(i, row);
            }
        }
    }

    private int pixel(int column, int row) {
        int colour = (row >> 1) * colourRow + (column >> 1) * colourStep;
        int light = (y[row * yRow + column] & 0xFF) << 16;
        int cb = (u[colour] & 0xFF) - 128;
        int cr = (v[colour] & 0xFF) - 128;
        int red = clamp(light + 91881 * cr);
        int green = clamp(light - 22554 * cb - 46802 * cr);
        int blue = clamp(light + 116130 * cb);
        return 0xFF000000 | red << 16 | green << 8 | blue;
    }

    private static int clamp(int value) {
        return Math.max(0, Math.min(255, (value + HALF) >> 16));
    }
}
