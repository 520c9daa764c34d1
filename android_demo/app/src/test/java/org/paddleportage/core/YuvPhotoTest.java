package org.paddleportage.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.Test;

/** Frames of 6 × 4 pixels, whose rows are longer than they need to be, as cameras' are. */
public class YuvPhotoTest {
    private static final int WIDTH = 6;
    private static final int HEIGHT = 4;
    private static final int Y_ROW = 8;

    private final byte[] y = random(Y_ROW * HEIGHT, 1);
    private final byte[] u = random(32, 2);
    private final byte[] v = random(32, 3);

    private static byte[] random(int length, int seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private YuvPhoto photo(int colourRow, int colourStep, int turn) {
        return new YuvPhoto(
                ByteBuffer.wrap(y),
                ByteBuffer.wrap(u),
                ByteBuffer.wrap(v),
                Y_ROW,
                colourRow,
                colourStep,
                WIDTH,
                HEIGHT,
                turn);
    }

    private static int[][] pixels(Photo photo) {
        int[][] rows = new int[photo.height()][photo.width()];
        for (int row = 0; row < rows.length; row++) {
            photo.row(row, rows[row]);
        }
        return rows;
    }

    @Test
    public void coloursAreJfifs() {
        for (int step = 1; step <= 2; step++) {
            int colourRow = 4 * step;
            int[][] found = pixels(photo(colourRow, step, 0));
            for (int row = 0; row < HEIGHT; row++) {
                for (int column = 0; column < WIDTH; column++) {
                    int colour = row / 2 * colourRow + column / 2 * step;
                    double light = y[row * Y_ROW + column] & 0xFF;
                    double cb = (u[colour] & 0xFF) - 128;
                    double cr = (v[colour] & 0xFF) - 128;
                    int argb = found[row][column];
                    assertEquals(0xFF, argb >>> 24);
                    assertEquals(rounded(light + 1.402 * cr), argb >> 16 & 0xFF, 1);
                    assertEquals(
                            rounded(light - 0.344136 * cb - 0.714136 * cr), argb >> 8 & 0xFF, 1);
                    assertEquals(rounded(light + 1.772 * cb), argb & 0xFF, 1);
                }
            }
        }
    }

    private static long rounded(double value) {
        return Math.max(0, Math.min(255, Math.round(value)));
    }

    @Test
    public void greyStaysGrey() {
        java.util.Arrays.fill(u, (byte) 128);
        java.util.Arrays.fill(v, (byte) 128);
        int[][] found = pixels(photo(4, 1, 0));
        for (int row = 0; row < HEIGHT; row++) {
            for (int column = 0; column < WIDTH; column++) {
                int light = y[row * Y_ROW + column] & 0xFF;
                assertEquals(0xFF000000 | light * 0x010101, found[row][column]);
            }
        }
    }

    @Test
    public void aQuarterTurnPutsTheFirstColumnOnTopFromBelow() {
        int[][] upright = pixels(photo(4, 1, 0));
        Photo turned = photo(4, 1, 90);
        assertEquals(HEIGHT, turned.width());
        assertEquals(WIDTH, turned.height());
        int[] first = pixels(turned)[0];
        int[] expected = {upright[3][0], upright[2][0], upright[1][0], upright[0][0]};
        assertArrayEquals(expected, first);
    }

    @Test
    public void fourQuarterTurnsAreNone() {
        int[][] expected = pixels(photo(4, 1, 0));
        int[][] once = pixels(photo(4, 1, 90));
        assertArrayEquals(clockwise(expected), once);
        assertArrayEquals(clockwise(once), pixels(photo(4, 1, 180)));
        assertArrayEquals(clockwise(clockwise(once)), pixels(photo(4, 1, 270)));
    }

    private static int[][] clockwise(int[][] picture) {
        int[][] turned = new int[picture[0].length][picture.length];
        for (int row = 0; row < picture.length; row++) {
            for (int column = 0; column < picture[0].length; column++) {
                turned[column][picture.length - 1 - row] = picture[row][column];
            }
        }
        return turned;
    }
}
