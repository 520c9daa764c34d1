package org.paddleportage.app;

import android.app.Activity;
import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.ProgressBar;
import android.widget.TableLayout;
import android.widget.TableRow;
import android.widget.TextView;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.BenchCsv;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.engine.PowerMode;

/** The bench: the chosen model at 1 to all threads, as a table that can be shared. */
public final class BenchActivity extends Activity {
    private DemoApp app;
    private TextView status;
    private ProgressBar progress;
    private Button start;
    private Button share;
    private TableLayout table;
    private ModelPicker picker;
    private Choice choice;
    private Job job;
    private final List<BenchRow> rows = new ArrayList<>();

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.activity_bench);
        app = (DemoApp) getApplication();
        status = Views.find(this, R.id.status);
        progress = Views.find(this, R.id.progress);
        start = Views.find(this, R.id.start);
        share = Views.find(this, R.id.share);
        table = Views.find(this, R.id.table);
        // The bench goes through all numbers of threads by itself.
        Views.<View>find(this, R.id.threads_row).setVisibility(View.GONE);
        picker = new ModelPicker(this, app.settings(), chosen -> choice = chosen);
        start.setOnClickListener(button -> toggle());
        share.setOnClickListener(button -> share());
        status.setText(getString(R.string.bench_how, Jobs.WARM_UP, Jobs.RUNS, Settings.maxThreads()));
        app.recognizer().choose(null); // nothing else runs meanwhile
        app.whenLoaded(picker::fill);
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
        if (choice == null) {
            status.setText(R.string.no_packages);
            return;
        }
        rows.clear();
        table.removeViews(1, table.getChildCount() - 1);
        ModelPackage pack = choice.pack();
        PowerMode mode = choice.mode();
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        job = Job.start(app.work(), app.main(), running -> run(running, pack, mode), this::ended);
        showButtons();
    }

    /** On the work thread. */
    private void run(Job running, ModelPackage pack, PowerMode mode) throws PortageException {
        Jobs jobs = new Jobs(app);
        for (int threads = 1; threads <= Settings.maxThreads(); threads++) {
            int count = threads;
            running.show(() -> status.setText(
                    getString(R.string.bench_running, PackageStore.title(pack), count)));
            BenchRow row = jobs.bench(pack, threads, mode, Jobs.RUNS, (done, total) -> {
                running.show(() -> setProgress(done, total));
                return running.goesOn();
            });
            running.show(() -> add(row));
        }
    }

    private void setProgress(int done, int total) {
        progress.setMax(total);
        progress.setProgress(done);
    }

    private void add(BenchRow row) {
        rows.add(row);
        TableRow line =
                (TableRow) LayoutInflater.from(this).inflate(R.layout.bench_row, table, false);
        String median = Sentences.ms(row.latency().medianMs());
        String p90 = Sentences.ms(row.latency().p90Ms());
        String p99 = Sentences.ms(row.latency().p99Ms());
        setText(line, R.id.cell_threads, String.valueOf(row.threads()));
        setText(line, R.id.cell_median, median);
        setText(line, R.id.cell_p90, p90);
        setText(line, R.id.cell_p99, p99);
        String heat = DeviceCompat.translated(this, row.note());
        setText(line, R.id.cell_note, heat);
        line.setContentDescription(
                getString(R.string.bench_line, row.threads(), median, p90, p99, heat));
        table.addView(line);
    }

    private static void setText(View row, int id, String text) {
        TextView cell = Views.find(row, id);
        cell.setText(text);
    }

    private void ended(PortageException problem) {
        job = null;
        getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        if (problem == null) {
            status.setText(getString(R.string.bench_done, rows.size()));
        } else if (problem.fault() == Fault.STOPPED) {
            status.setText(R.string.stopped);
        } else {
            status.setText(Sentences.of(this, problem));
        }
        setProgress(0, 1);
        showButtons();
    }

    private void showButtons() {
        start.setText(job == null ? R.string.start : R.string.stop);
        share.setEnabled(job == null && !rows.isEmpty());
    }

    private void share() {
        String csv = BenchCsv.write(rows, ThisDevice.describe(this));
        String name = "bench-" + PackageStore.title(rows.get(0).pack()) + ".csv";
        Share.Item item = new Share.Item(name, csv.getBytes(StandardCharsets.UTF_8));
        Share.send(this, "text/csv", Collections.singletonList(item));
    }
}
