package org.paddleportage.app;

import android.graphics.Bitmap;
import org.paddleportage.core.Photo;

/** A decoded picture, upright. */
final class BitmapPhoto implements Photo {
    private final Bitmap bitmap;

    BitmapPhoto(Bitmap bitmap) {
        this.bitmap = bitmap;
    }

    @Override
    public int width() {
        return bitmap.getWidth();
    }

    @Override
    public int height() {
        return bitmap.getHeight();
    }

    @Override
    public void row(int y, int[] argb) {
        bitmap.getPixels(argb, 0, width(), 0, y, width(), 1);
    }
}
