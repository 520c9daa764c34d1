package org.paddleportage.core;

import java.io.IOException;
import org.paddleportage.TestData;

/** A photo of pixels 0xAARRGGBB, row after row. */
public final class ArgbPhoto implements Photo {
    private final int[] argb;
    private final int width;
    private final int height;

    public ArgbPhoto(int[] argb, int width, int height) {
        this.argb = argb;
        this.width = width;
        this.height = height;
    }

    /** A photo of the toolkit's: a line has its file of RGB bytes, its width and its height. */
    public static ArgbPhoto read(String folder, String line) throws IOException {
        String[] words = line.split(" ");
        byte[] rgb = TestData.bytes(folder + words[0]);
        int[] pixels = new int[rgb.length / 3];
        for (int i = 0; i < pixels.length; i++) {
            // Any alpha: it must not matter.
            pixels[i] = i << 24 | (rgb[3 * i] & 0xFF) << 16 | (rgb[3 * i + 1] & 0xFF) << 8
                    | rgb[3 * i + 2] & 0xFF;
        }
        return new ArgbPhoto(pixels, Integer.parseInt(words[1]), Integer.parseInt(words[2]));
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public int height() {
        return height;
    }

    @Override
    public void row(int y, int[] into) {
        System.arraycopy(argb, y * width, into, 0, width);
    }
}
