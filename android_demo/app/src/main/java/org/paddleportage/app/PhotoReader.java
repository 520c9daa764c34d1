package org.paddleportage.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;

/** Reads a photo of the gallery's, or of another app's, and turns it as its camera was held. */
final class PhotoReader {
    // Larger photos are read at half their size, or a quarter: 16 million pixels take 64 MB.
    private static final long MAX_PIXELS = 1L << 24;

    private final Context context;

    PhotoReader(Context context) {
        this.context = context;
    }

    Bitmap read(Uri uri) throws PortageException {
        // Through a file of our own, since the orientation of a stream is told since Android 7 only.
        File copy = new File(context.getCacheDir(), "photo");
        try {
            try (InputStream in = context.getContentResolver().openInputStream(uri);
                    OutputStream out = new FileOutputStream(copy)) {
                if (in == null) {
                    throw new IOException("it is gone");
                }
                Files.copy(in, out);
            }
            return upright(decode(copy), orientation(copy));
        } catch (IOException | SecurityException error) {
            throw new PortageException(Fault.UNREADABLE, name(uri), error.getMessage());
        } catch (OutOfMemoryError full) {
            throw new PortageException(Fault.UNREADABLE, name(uri), "out of memory");
        } finally {
            copy.delete();
        }
    }

    private static Bitmap decode(File file) throws IOException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeFile(file.getPath(), options);
        long pixels = (long) options.outWidth * options.outHeight;
        options.inJustDecodeBounds = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        options.inSampleSize = 1;
        while (pixels / ((long) options.inSampleSize * options.inSampleSize) > MAX_PIXELS) {
            options.inSampleSize *= 2;
        }
        Bitmap bitmap = BitmapFactory.decodeFile(file.getPath(), options);
        if (bitmap == null) {
            throw new IOException("not a picture that Android can decode");
        }
        return bitmap;
    }

    private static int orientation(File file) {
        try {
            return new ExifInterface(file.getPath())
                    .getAttributeInt(
                            ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
        } catch (IOException noSuchHeader) {
            return ExifInterface.ORIENTATION_NORMAL;
        }
    }

    private static Bitmap upright(Bitmap bitmap, int orientation) {
        Matrix matrix = new Matrix();
        switch (orientation) {
            case ExifInterface.ORIENTATION_FLIP_HORIZONTAL:
                matrix.setScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_180:
                matrix.setRotate(180);
                break;
            case ExifInterface.ORIENTATION_FLIP_VERTICAL:
                matrix.setScale(1, -1);
                break;
            case ExifInterface.ORIENTATION_TRANSPOSE:
                matrix.setRotate(90);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_90:
                matrix.setRotate(90);
                break;
            case ExifInterface.ORIENTATION_TRANSVERSE:
                matrix.setRotate(270);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_270:
                matrix.setRotate(270);
                break;
            default:
                return bitmap;
        }
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        return Bitmap.createBitmap(bitmap, 0, 0, width, height, matrix, false);
    }

    private static String name(Uri uri) {
        String name = uri.getLastPathSegment();
        return name == null ? uri.toString() : name;
    }
}
