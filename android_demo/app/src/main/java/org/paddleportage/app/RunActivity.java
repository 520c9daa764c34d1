package org.paddleportage.app;

import android.app.Activity;
import android.os.Bundle;
import android.util.Log;
import android.view.WindowManager;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.paddleportage.R;
import org.paddleportage.core.BenchCsv;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.Fault;
import org.paddleportage.core.Json;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.engine.PowerMode;

/**
 * Check or bench without a touch, for adb: {@code am start -n
 * org.paddleportage.demo/org.paddleportage.app.RunActivity --es run check --es out NAME}.
 *
 * <p>Extras: {@code run} is check, bench, or none, which makes the app's folders and no more; {@code
 * out} names the folder, under {@code results} of the app's files on shared storage; {@code model}
 * (some, with commas between them; else all), {@code threads}, {@code power} and {@code runs} say
 * how. The folder gets the results, and last of all {@code done.json}: their names
 * and the sentences about what went wrong. Only adb may start it: it needs a permission that apps
 * cannot have.
 */
public final class RunActivity extends Activity {
    private static final String TAG = "portage";
    private static final String DONE = "done.json";

    private DemoApp app;
    private TextView status;
    private Job job;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.activity_run);
        status = Views.find(this, R.id.status);
        app = (DemoApp) getApplication();
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        app.recognizer().choose(null); // nothing else runs meanwhile
        app.whenLoaded(this::start);
    }

    @Override
    protected void onDestroy() {
        if (job != null) {
            job.stop();
        }
        super.onDestroy();
    }

    private void start(PackageStore store) {
        Outcome outcome = new Outcome();
        File folder = new File(getExternalFilesDir("results"), name(text("out", "out")));
        job = Job.start(
                app.work(),
                app.main(),
                running -> run(running, store, folder, outcome),
                problem -> finish(folder, outcome, problem));
    }

    /** What there is to tell when all is done. */
    private static final class Outcome {
        private final List<String> files = new ArrayList<>();
        private final List<String> errors = new ArrayList<>();
    }

    /** On the work thread: one model after the other, each to its end, whatever became of others. */
    private void run(Job running, PackageStore store, File folder, Outcome outcome)
            throws PortageException {
        Files.delete(folder);
        String word = text("run", "check");
        int threads = number("threads", app.settings().threads());
        PowerMode mode = mode();
        Jobs jobs = new Jobs(app);
        List<BenchRow> rows = new ArrayList<>();
        for (PortageException problem : store.problems()) {
            outcome.errors.add(problem.getMessage());
        }
        for (ModelPackage pack : store.packages()) {
            String title = PackageStore.title(pack);
            List<String> models = Arrays.asList(text("model", pack.name()).split(","));
            if (!models.contains(pack.name())) {
                continue;
            }
            running.show(() -> status.setText(title));
            try {
                if (word.equals("bench")) {
                    rows.addAll(bench(jobs, running, pack, mode));
                } else if (word.equals("check")) {
                    Jobs.Checked checked = jobs.check(
                            pack, threads, mode, (done, total) -> running.goesOn());
                    write(new File(folder, Jobs.fileName(pack)), checked.json(), outcome);
                }
            } catch (PortageException problem) {
                if (problem.fault() == Fault.STOPPED) {
                    throw problem;
                }
                outcome.errors.add(title + ": " + problem.getMessage());
            }
        }
        if (!rows.isEmpty()) {
            String csv = BenchCsv.write(rows, ThisDevice.describe(this));
            write(new File(folder, "bench.csv"), csv, outcome);
        }
    }

    private List<BenchRow> bench(Jobs jobs, Job running, ModelPackage pack, PowerMode mode)
            throws PortageException {
        List<BenchRow> rows = new ArrayList<>();
        int runs = number("runs", Jobs.RUNS);
        for (int threads = 1; threads <= number("threads", Settings.maxThreads()); threads++) {
            rows.add(jobs.bench(pack, threads, mode, runs, (done, total) -> running.goesOn()));
        }
        return rows;
    }

    private static void write(File file, String text, Outcome outcome) {
        try {
            Files.write(file, text.getBytes(StandardCharsets.UTF_8));
            outcome.files.add(file.getName());
        } catch (IOException error) {
            outcome.errors.add(file.getName() + ": " + error.getMessage());
        }
    }

    private void finish(File folder, Outcome outcome, PortageException problem) {
        if (problem != null) {
            outcome.errors.add(problem.getMessage());
        }
        try {
            Map<String, Object> done = new LinkedHashMap<>();
            done.put("files", outcome.files);
            done.put("errors", outcome.errors);
            byte[] json = Json.write(done).getBytes(StandardCharsets.UTF_8);
            Files.write(new File(folder, DONE), json);
        } catch (IOException error) {
            Log.e(TAG, "cannot write " + DONE, error);
        }
        status.setText(R.string.run_done);
        finish();
    }

    private String text(String name, String otherwise) {
        String given = getIntent().getStringExtra(name);
        return given == null ? otherwise : given;
    }

    private int number(String name, int otherwise) {
        try {
            return Math.max(1, Integer.parseInt(text(name, String.valueOf(otherwise))));
        } catch (NumberFormatException noNumber) {
            return otherwise;
        }
    }

    private PowerMode mode() {
        for (PowerMode mode : PowerMode.values()) {
            if (mode.name().equals(text("power", ""))) {
                return mode;
            }
        }
        return app.settings().powerMode();
    }

    /** A name that leads nowhere else. */
    private static String name(String text) {
        return text.replaceAll("[^A-Za-z0-9_-]", "_");
    }
}
