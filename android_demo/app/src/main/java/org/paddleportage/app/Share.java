package org.paddleportage.app;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.widget.Toast;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.paddleportage.R;

/** Hands results to another app as files. */
final class Share {
    /** A file's name and content. */
    record Item(String name, byte[] content) {}

    private Share() {}

    static void send(Activity activity, String type, List<Item> items) {
        File folder = ShareProvider.folder(activity);
        Files.delete(folder); // what was shared before
        ArrayList<Uri> uris = new ArrayList<>();
        try {
            for (Item item : items) {
                Files.write(new File(folder, item.name()), item.content());
                uris.add(ShareProvider.uri(activity, item.name()));
            }
        } catch (IOException full) {
            Toast.makeText(activity, full.getMessage(), Toast.LENGTH_LONG).show();
            return;
        }
        Intent send;
        if (uris.size() == 1) {
            send = new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, uris.get(0));
        } else {
            send = new Intent(Intent.ACTION_SEND_MULTIPLE);
            send.putParcelableArrayListExtra(Intent.EXTRA_STREAM, uris);
        }
        send.setType(type).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        activity.startActivity(Intent.createChooser(send, activity.getString(R.string.share)));
    }
}
