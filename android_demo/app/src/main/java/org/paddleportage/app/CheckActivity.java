package org.paddleportage.app;

import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.Drift;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Progress;
import org.paddleportage.core.Verdict;
import org.paddleportage.engine.PowerMode;

/** The check: does every model compute on this phone what the toolkit computed? */
public final class CheckActivity extends JobActivity<CheckActivity.Line> {
    private PackageStore store;

    /** What became of a package: it was checked, or there is a problem. */
    record Line(ModelPackage pack, Jobs.Checked checked, PortageException problem) {}

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        begin(R.layout.activity_check, R.id.results);
        app().whenLoaded(found -> {
            store = found;
            show();
        });
    }

    @Override
    protected boolean canStart() {
        return store != null && !store.packages().isEmpty();
    }

    @Override
    protected String how() {
        boolean none = store != null && store.packages().isEmpty();
        return getString(none ? R.string.no_packages : R.string.check_how);
    }

    /** All packages, each to its end, whatever becomes of the others. */
    @Override
    protected Job.Work work(JobState<Line> state) {
        DemoApp app = app();
        List<ModelPackage> packages = store.packages();
        int threads = app.settings().threads();
        PowerMode mode = app.settings().powerMode();
        return running -> {
            Jobs jobs = new Jobs(app);
            for (ModelPackage pack : packages) {
                String now = app.getString(R.string.check_running, PackageStore.title(pack));
                running.show(() -> state.running(now));
                Line line = check(jobs, pack, threads, mode, running.progress(state));
                running.show(() -> state.add(line));
            }
        };
    }

    private static Line check(
            Jobs jobs, ModelPackage pack, int threads, PowerMode mode, Progress progress)
            throws PortageException {
        try {
            return new Line(pack, jobs.check(pack, threads, mode, progress), null);
        } catch (PortageException problem) {
            if (problem.fault() == Fault.STOPPED) {
                throw problem;
            }
            return new Line(pack, null, problem);
        }
    }

    @Override
    protected String doneText(List<Line> lines) {
        return getString(R.string.check_done, results(lines).size(), lines.size());
    }

    @Override
    protected View view(Line line, ViewGroup parent) {
        if (line.checked() == null) {
            String sentence = Sentences.of(this, line.problem());
            return view(line, sentence, R.string.not_run, R.color.fail, parent);
        }
        Drift drift = line.checked().check().drift();
        String detail =
                getString(R.string.check_line, drift.agreed(), drift.images(), drift.maxRel());
        Verdict verdict = line.checked().check().verdict();
        return switch (verdict) {
            case PASS -> view(line, detail, R.string.pass, R.color.pass, parent);
            case FAIL -> view(line, detail, R.string.fail, R.color.fail, parent);
            case UNDECIDED -> view(line, detail, R.string.undecided, R.color.undecided, parent);
        };
    }

    private View view(Line line, String detail, int word, int colour, ViewGroup parent) {
        View row = LayoutInflater.from(this).inflate(R.layout.check_row, parent, false);
        TextView name = Views.find(row, R.id.check_name);
        name.setText(PackageStore.title(line.pack()));
        TextView verdict = Views.find(row, R.id.check_verdict);
        verdict.setText(word);
        verdict.setTextColor(getColor(colour));
        TextView text = Views.find(row, R.id.check_detail);
        text.setText(detail);
        return row;
    }

    @Override
    protected boolean isResult(Line line) {
        return line.checked() != null;
    }

    private List<Share.Item> results(List<Line> lines) {
        List<Share.Item> items = new ArrayList<>();
        for (Line line : lines) {
            if (isResult(line)) {
                byte[] json = line.checked().json().getBytes(StandardCharsets.UTF_8);
                items.add(new Share.Item(Jobs.fileName(line.pack()), json));
            }
        }
        return items;
    }

    @Override
    protected void share(List<Line> lines) {
        Share.send(this, "application/json", results(lines));
    }
}
