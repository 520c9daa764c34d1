package org.paddleportage.app;

import android.app.Activity;
import android.view.View;
import android.widget.TextView;

/** What every screen does with its views. */
final class Views {
    private Views() {}

    // Android's own has this form since version 8 only.
    @SuppressWarnings("unchecked")
    static <T extends View> T find(View root, int id) {
        return (T) root.findViewById(id);
    }

    static <T extends View> T find(Activity activity, int id) {
        return find(activity.getWindow().getDecorView(), id);
    }

    /** Shows a text, or takes its place away where there is none. */
    static void setOrHide(TextView view, String text) {
        view.setText(text);
        view.setVisibility(text.isEmpty() ? View.GONE : View.VISIBLE);
    }
}
