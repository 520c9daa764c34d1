package org.paddleportage.app;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;

/** Lets the app that the user shares results with read them, and nothing else. */
public final class ShareProvider extends ContentProvider {
    /** Where what is shared lies. */
    static File folder(Context context) {
        return new File(context.getCacheDir(), "shared");
    }

    static Uri uri(Context context, String name) {
        return new Uri.Builder()
                .scheme("content")
                .authority(context.getPackageName() + ".share")
                .appendPath(name)
                .build();
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    /** The file of a URI; only its last part counts, so none outside of the folder is reached. */
    private File file(Uri uri) throws FileNotFoundException {
        String name = uri.getLastPathSegment();
        File file = new File(folder(getContext()), new File(String.valueOf(name)).getName());
        if (!file.isFile()) {
            throw new FileNotFoundException(uri.toString());
        }
        return file;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public Cursor query(
            Uri uri, String[] columns, String where, String[] arguments, String order) {
        MatrixCursor cursor =
                new MatrixCursor(new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        try {
            File file = file(uri);
            cursor.addRow(new Object[] {file.getName(), file.length()});
        } catch (FileNotFoundException gone) {
            // Then there is no row.
        }
        return cursor;
    }

    @Override
    public String getType(Uri uri) {
        return String.valueOf(uri.getLastPathSegment()).endsWith(".csv")
                ? "text/csv"
                : "application/json";
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String where, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String where, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
