package org.paddleportage.app;

import android.content.Context;
import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import org.paddleportage.R;
import org.paddleportage.core.BenchCsv;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.ModelPackage;

/** The bench: the chosen model at 1 to all threads, as a table that can be shared. */
public final class BenchActivity extends JobActivity<BenchRow> {
    private ModelPicker picker;
    private Choice choice;
    private boolean loaded;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        begin(R.layout.activity_bench, R.id.table);
        // The bench goes through all numbers of threads by itself.
        Views.<View>find(this, R.id.threads_row).setVisibility(View.GONE);
        picker = new ModelPicker(this, app().settings(), chosen -> {
            choice = chosen;
            show();
        });
        app().whenLoaded(store -> {
            loaded = true;
            picker.fill(store);
            show();
        });
    }

    @Override
    protected boolean canStart() {
        return choice != null;
    }

    @Override
    protected String how() {
        return loaded && choice == null
                ? getString(R.string.no_packages)
                : getString(R.string.bench_how, Jobs.WARM_UP, Jobs.RUNS, Settings.maxThreads());
    }

    @Override
    protected Job.Work work(JobState<BenchRow> state) {
        DemoApp app = app();
        Choice chosen = choice;
        return running -> {
            Jobs jobs = new Jobs(app);
            ModelPackage pack = chosen.pack();
            for (int threads = 1; threads <= Settings.maxThreads(); threads++) {
                String now = app.getString(
                        R.string.bench_running, PackageStore.title(pack), threads);
                running.show(() -> state.running(now));
                BenchRow row = jobs.bench(
                        pack, threads, chosen.mode(), Jobs.RUNS, running.progress(state));
                running.show(() -> state.add(row));
            }
        };
    }

    @Override
    protected String doneText(List<BenchRow> lines) {
        return getString(R.string.bench_done, lines.size());
    }

    @Override
    protected View view(BenchRow row, ViewGroup parent) {
        Context context = parent.getContext();
        View line = LayoutInflater.from(context).inflate(R.layout.bench_row, parent, false);
        String median = Sentences.ms(row.latency().medianMs());
        String p90 = Sentences.ms(row.latency().p90Ms());
        String p99 = Sentences.ms(row.latency().p99Ms());
        setText(line, R.id.cell_threads, String.valueOf(row.threads()));
        setText(line, R.id.cell_median, median);
        setText(line, R.id.cell_p90, p90);
        setText(line, R.id.cell_p99, p99);
        String heat = DeviceCompat.translated(context, row.note());
        setText(line, R.id.cell_note, heat);
        line.setContentDescription(
                getString(R.string.bench_line, row.threads(), median, p90, p99, heat));
        return line;
    }

    private static void setText(View row, int id, String text) {
        TextView cell = Views.find(row, id);
        cell.setText(text);
    }

    @Override
    protected boolean isResult(BenchRow line) {
        return true;
    }

    @Override
    protected void share(List<BenchRow> rows) {
        String csv = BenchCsv.write(rows, ThisDevice.describe(this));
        String name = "bench-" + PackageStore.title(rows.get(0).pack()) + ".csv";
        Share.Item item = new Share.Item(name, csv.getBytes(StandardCharsets.UTF_8));
        Share.send(this, "text/csv", Collections.singletonList(item));
    }
}
