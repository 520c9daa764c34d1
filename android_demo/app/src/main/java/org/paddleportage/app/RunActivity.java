package org.paddleportage.app;

import android.app.Activity;
import android.content.Intent;
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

    /** What is under way: kept while the screen is made anew. */
    private static final class Run {
        private RunActivity screen;
        private Job job;
        private File folder;
        private final List<String> files = new ArrayList<>();
        private final List<String> errors = new ArrayList<>();
    }

    private Run run;
    private TextView status;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.activity_run);
        status = Views.find(this, R.id.status);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        run = (Run) getLastNonConfigurationInstance();
        if (run == null) {
            run = new Run();
            Run started = run;
            DemoApp app = (DemoApp) getApplication();
            app.recognizer().choose(null); // nothing else runs meanwhile
            app.whenLoaded(store -> start(app, store, getIntent(), started));
        }
        run.screen = this;
    }

    @Override
    public Object onRetainNonConfigurationInstance() {
        return run;
    }

    @Override
    protected void onDestroy() {
        if (!isChangingConfigurations() && run.job != null) {
            run.job.stop();
        }
        super.onDestroy();
    }

    private static void start(DemoApp app, PackageStore store, Intent intent, Run run) {
        Extras extras = new Extras(intent);
        run.folder = new File(app.getExternalFilesDir("results"), extras.name("out", "out"));
        run.job = Job.start(
                app.work(),
                app.main(),
                running -> work(app, store, extras, running, run),
                problem -> finish(run, problem));
    }

    /** On the work thread: one model after the other, each to its end, whatever became of others. */
    private static void work(DemoApp app, PackageStore store, Extras extras, Job running, Run run)
            throws PortageException {
        Files.delete(run.folder);
        String word = extras.text("run", "check");
        int threads = extras.number("threads", app.settings().threads());
        PowerMode mode = extras.mode(app.settings().powerMode());
        Jobs jobs = new Jobs(app);
        List<BenchRow> rows = new ArrayList<>();
        for (PortageException problem : store.problems()) {
            run.errors.add(problem.getMessage());
        }
        for (ModelPackage pack : store.packages()) {
            String title = PackageStore.title(pack);
            List<String> models = Arrays.asList(extras.text("model", pack.name()).split(","));
            if (!models.contains(pack.name())) {
                continue;
            }
            running.show(() -> run.screen.status.setText(title));
            try {
                if (word.equals("bench")) {
                    rows.addAll(bench(jobs, running, pack, mode, extras));
                } else if (word.equals("check")) {
                    Jobs.Checked checked = jobs.check(
                            pack, threads, mode, (done, total) -> running.goesOn());
                    write(Jobs.fileName(pack), checked.json(), run);
                }
            } catch (PortageException problem) {
                if (problem.fault() == Fault.STOPPED) {
                    throw problem;
                }
                run.errors.add(title + ": " + problem.getMessage());
            }
        }
        if (!rows.isEmpty()) {
            write("bench.csv", BenchCsv.write(rows, ThisDevice.describe(app)), run);
        }
    }

    private static List<BenchRow> bench(
            Jobs jobs, Job running, ModelPackage pack, PowerMode mode, Extras extras)
            throws PortageException {
        List<BenchRow> rows = new ArrayList<>();
        int runs = extras.number("runs", Jobs.RUNS);
        int most = extras.number("threads", Settings.maxThreads());
        for (int threads = 1; threads <= most; threads++) {
            rows.add(jobs.bench(pack, threads, mode, runs, (done, total) -> running.goesOn()));
        }
        return rows;
    }

    private static void write(String name, String text, Run run) {
        try {
            Files.write(new File(run.folder, name), text.getBytes(StandardCharsets.UTF_8));
            run.files.add(name);
        } catch (IOException error) {
            run.errors.add(name + ": " + error.getMessage());
        }
    }

    private static void finish(Run run, PortageException problem) {
        if (problem != null) {
            run.errors.add(problem.getMessage());
        }
        Map<String, Object> done = new LinkedHashMap<>();
        done.put("files", run.files);
        done.put("errors", run.errors);
        try {
            byte[] json = Json.write(done).getBytes(StandardCharsets.UTF_8);
            Files.write(new File(run.folder, DONE), json);
        } catch (IOException error) {
            Log.e(TAG, "cannot write " + DONE, error);
        }
        run.screen.status.setText(R.string.run_done);
        run.screen.finish();
    }

    /** What adb asked for. */
    private static final class Extras {
        private final Intent intent;

        private Extras(Intent intent) {
            this.intent = intent;
        }

        String text(String name, String otherwise) {
            String given = intent.getStringExtra(name);
            return given == null ? otherwise : given;
        }

        /** A name that leads nowhere else. */
        String name(String name, String otherwise) {
            return text(name, otherwise).replaceAll("[^A-Za-z0-9_-]", "_");
        }

        int number(String name, int otherwise) {
            try {
                return Math.max(1, Integer.parseInt(text(name, String.valueOf(otherwise))));
            } catch (NumberFormatException noNumber) {
                return otherwise;
            }
        }

        PowerMode mode(PowerMode otherwise) {
            for (PowerMode mode : PowerMode.values()) {
                if (mode.name().equals(text("power", ""))) {
                    return mode;
                }
            }
            return otherwise;
        }
    }
}
