package org.paddleportage.app;

import android.content.Context;
import android.view.LayoutInflater;
import android.view.View;
import android.widget.LinearLayout;
import android.widget.ProgressBar;
import android.widget.TextView;
import org.paddleportage.R;
import org.paddleportage.core.Guess;

/** The likeliest classes: a name, a bar and a percentage each. */
final class TopView {
    private static final int FULL = 1000; // the bars' whole length

    private final LinearLayout list;

    TopView(LinearLayout list) {
        this.list = list;
    }

    void clear() {
        for (int i = 0; i < list.getChildCount(); i++) {
            list.getChildAt(i).setVisibility(View.INVISIBLE);
        }
    }

    void show(Recognition recognition) {
        Context context = list.getContext();
        for (int i = 0; i < recognition.guesses().size(); i++) {
            Guess guess = recognition.guesses().get(i);
            View row = row(i);
            String name = recognition.labels().name(guess.index());
            double percent = 100 * guess.probability();
            TextView nameView = Views.find(row, R.id.guess_name);
            nameView.setText(name);
            TextView share = Views.find(row, R.id.guess_share);
            share.setText(context.getString(R.string.percent, percent));
            ProgressBar bar = Views.find(row, R.id.guess_bar);
            bar.setMax(FULL);
            bar.setProgress((int) Math.round(FULL * guess.probability()));
            row.setContentDescription(context.getString(R.string.guess, i + 1, name, percent));
            row.setVisibility(View.VISIBLE);
        }
    }

    /** The row at a place; rows are made once and used again, photo after photo. */
    private View row(int place) {
        if (place == list.getChildCount()) {
            LayoutInflater.from(list.getContext()).inflate(R.layout.guess_row, list, true);
        }
        return list.getChildAt(place);
    }
}
