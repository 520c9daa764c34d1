package org.paddleportage.core;

/** The pixels of a photo, upright, handed out row by row, so that no second copy is needed. */
public interface Photo {
    int width();

    int height();

    /** Fills the beginning of {@code argb} with row {@code y}: {@code width()} pixels 0xAARRGGBB. */
    void row(int y, int[] argb);
}
