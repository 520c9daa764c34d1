package org.paddleportage.app;

import android.app.Activity;
import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.ProgressBar;
import android.widget.TextView;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.Drift;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Verdict;
import org.paddleportage.engine.PowerMode;

/** The check: does every model compute on this phone what the toolkit computed? */
public final class CheckActivity extends Activity {
    private DemoApp app;
    private TextView status;
    private ProgressBar progress;
    private Button start;
    private Button share;
    private LinearLayout list;
    private PackageStore store;
    private Job job;
    private final List<Share.Item> results = new ArrayList<>();

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.activity_check);
        app = (DemoApp) getApplication();
        status = Views.find(this, R.id.status);
        progress = Views.find(this, R.id.progress);
        start = Views.find(this, R.id.start);
        share = Views.find(this, R.id.share);
        list = Views.find(this, R.id.results);
        start.setOnClickListener(button -> toggle());
        share.setOnClickListener(button -> Share.send(this, "application/json", results));
        status.setText(R.string.check_how);
        app.recognizer().choose(null); // nothing else runs meanwhile
        app.whenLoaded(found -> {
            store = found;
            if (found.packages().isEmpty()) {
                status.setText(R.string.no_packages);
            }
            showButtons();
        });
        showButtons();
    }

    @Override
    protected void onDestroy() {
        if (job != null) {
            job.stop();
        }
        super.onDestroy();
    }

    private void toggle() {
        if (job != null) {
            job.stop();
            return;
        }
        results.clear();
        list.removeAllViews();
        int threads = app.settings().threads();
        PowerMode mode = app.settings().powerMode();
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        job = Job.start(app.work(), app.main(), running -> run(running, threads, mode), this::ended);
        showButtons();
    }

    /** On the work thread: all packages, each to its end, whatever becomes of the others. */
    private void run(Job running, int threads, PowerMode mode) throws PortageException {
        Jobs jobs = new Jobs(app);
        for (ModelPackage pack : store.packages()) {
            running.show(() -> status.setText(
                    getString(R.string.check_running, PackageStore.title(pack))));
            try {
                Jobs.Checked checked = jobs.check(pack, threads, mode, (done, total) -> {
                    running.show(() -> setProgress(done, total));
                    return running.goesOn();
                });
                running.show(() -> add(pack, checked));
            } catch (PortageException problem) {
                if (problem.fault() == Fault.STOPPED) {
                    throw problem;
                }
                running.show(() -> add(pack, Sentences.of(this, problem), R.string.not_run, R.color.fail));
            }
        }
    }

    private void setProgress(int done, int total) {
        progress.setMax(total);
        progress.setProgress(done);
    }

    private void add(ModelPackage pack, Jobs.Checked checked) {
        byte[] json = checked.json().getBytes(StandardCharsets.UTF_8);
        results.add(new Share.Item(Jobs.fileName(pack), json));
        Drift drift = checked.check().drift();
        String detail =
                getString(R.string.check_line, drift.agreed(), drift.images(), drift.maxRel());
        Verdict verdict = checked.check().verdict();
        int word = verdict == Verdict.PASS
                ? R.string.pass
                : verdict == Verdict.FAIL ? R.string.fail : R.string.undecided;
        int colour = verdict == Verdict.PASS
                ? R.color.pass
                : verdict == Verdict.FAIL ? R.color.fail : R.color.undecided;
        add(pack, detail, word, colour);
    }

    private void add(ModelPackage pack, String detail, int word, int colour) {
        View row = LayoutInflater.from(this).inflate(R.layout.check_row, list, false);
        TextView name = Views.find(row, R.id.check_name);
        name.setText(PackageStore.title(pack));
        TextView verdict = Views.find(row, R.id.check_verdict);
        verdict.setText(word);
        verdict.setTextColor(getColor(colour));
        TextView text = Views.find(row, R.id.check_detail);
        text.setText(detail);
        list.addView(row);
    }

    private void ended(PortageException problem) {
        job = null;
        getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        status.setText(
                problem == null
                        ? getString(R.string.check_done, results.size(), store.packages().size())
                        : Sentences.of(this, problem));
        setProgress(0, 1);
        showButtons();
    }

    private void showButtons() {
        start.setText(job == null ? R.string.start : R.string.stop);
        start.setEnabled(store != null && !store.packages().isEmpty());
        share.setEnabled(job == null && !results.isEmpty());
    }
}
