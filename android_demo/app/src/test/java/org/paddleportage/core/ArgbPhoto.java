package org.paddleportage.core;

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
