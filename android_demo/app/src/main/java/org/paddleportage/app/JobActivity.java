package org.paddleportage.app;

import android.app.Activity;
import android.view.View;
import android.view.ViewGroup;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.ProgressBar;
import android.widget.TextView;
import java.util.List;
import org.paddleportage.R;

/**
 * A screen that starts and stops a long job, shows its lines, and shares them. The job goes on while
 * the screen is made anew.
 *
 * @param <L> what a line is about
 */
abstract class JobActivity<L> extends Activity {
    private JobState<L> state;
    private TextView status;
    private ProgressBar progress;
    private Button start;
    private Button share;
    private ViewGroup list;
    private int heads; // the list's children that are no lines

    /** Call it where the layout is set: {@code lines} is the view that takes the lines. */
    protected final void begin(int layout, int lines) {
        setContentView(layout);
        status = Views.find(this, R.id.status);
        progress = Views.find(this, R.id.progress);
        start = Views.find(this, R.id.start);
        share = Views.find(this, R.id.share);
        list = Views.find(this, lines);
        heads = list.getChildCount();
        @SuppressWarnings("unchecked") // only this class hands it over, below
        JobState<L> kept = (JobState<L>) getLastNonConfigurationInstance();
        state = kept == null ? new JobState<>() : kept;
        start.setOnClickListener(button -> toggle());
        share.setOnClickListener(button -> share(state.lines()));
        app().recognizer().choose(null); // nothing else runs meanwhile
        state.shownBy(this::show);
        show();
    }

    @Override
    public final Object onRetainNonConfigurationInstance() {
        return state;
    }

    @Override
    protected void onDestroy() {
        if (!isChangingConfigurations()) {
            state.stop();
        }
        super.onDestroy();
    }

    protected final DemoApp app() {
        return (DemoApp) getApplication();
    }

    /** The job; it must not keep this screen, which it may outlive. */
    protected abstract Job.Work work(JobState<L> state);

    /** Whether there is something to start. */
    protected abstract boolean canStart();

    /** What to say before the first start. */
    protected abstract String how();

    /** What to say when it came to its end. */
    protected abstract String doneText(List<L> lines);

    protected abstract View view(L line, ViewGroup parent);

    /** Whether a line is something to share. */
    protected abstract boolean isResult(L line);

    protected abstract void share(List<L> lines);

    private void toggle() {
        if (state.isRunning()) {
            state.stop();
        } else {
            state.start(app(), work(state));
        }
    }

    /** Makes the screen what the state says. */
    protected final void show() {
        if (state.isRunning()) {
            getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        } else {
            getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        }
        String text = statusText();
        if (!text.contentEquals(status.getText())) { // else it would be read out at every step
            status.setText(text);
        }
        progress.setMax(state.total());
        progress.setProgress(state.done());
        List<L> lines = state.lines();
        if (list.getChildCount() - heads > lines.size()) {
            list.removeViews(heads, list.getChildCount() - heads);
        }
        for (int i = list.getChildCount() - heads; i < lines.size(); i++) {
            list.addView(view(lines.get(i), list));
        }
        start.setText(state.isRunning() ? R.string.stop : R.string.start);
        start.setEnabled(state.isRunning() || canStart());
        share.setEnabled(!state.isRunning() && hasResult(lines));
    }

    private boolean hasResult(List<L> lines) {
        for (L line : lines) {
            if (isResult(line)) {
                return true;
            }
        }
        return false;
    }

    private String statusText() {
        if (state.isRunning()) {
            return state.running();
        }
        if (!state.hasEnded()) {
            return how();
        }
        return state.problem() == null
                ? doneText(state.lines())
                : Sentences.of(this, state.problem());
    }
}
