package org.paddleportage.app;

import java.util.Locale;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.Device;
import org.paddleportage.core.GoldenCheck;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Progress;
import org.paddleportage.core.ResultJson;
import org.paddleportage.engine.Bench;
import org.paddleportage.engine.Engine;
import org.paddleportage.engine.PowerMode;
import org.paddleportage.engine.Session;

/** The two long jobs, for the screens and for adb alike. They run on the thread that calls. */
final class Jobs {
    static final int WARM_UP = 10;
    static final int RUNS = 50;

    private final DemoApp app;

    Jobs(DemoApp app) {
        this.app = app;
    }

    /** A package's golden photos, through its engine, and the same as the toolkit reads it. */
    record Checked(GoldenCheck check, String json) {}

    Checked check(ModelPackage pack, int threads, PowerMode mode, Progress progress)
            throws PortageException {
        for (PortageException problem : pack.problems()) {
            throw problem;
        }
        Engine engine = app.engines().of(pack);
        try (Session session = engine.open(pack, threads, mode)) {
            GoldenCheck check = GoldenCheck.run(pack, session, progress);
            Device device = ThisDevice.describe(app);
            String json =
                    ResultJson.write(
                            pack,
                            check,
                            device,
                            engine.version(),
                            threads,
                            Bench.powerMode(engine, mode));
            return new Checked(check, json);
        }
    }

    /** One line of the bench's table; its note says how hot the phone was afterwards. */
    BenchRow bench(ModelPackage pack, int threads, PowerMode mode, int runs, Progress progress)
            throws PortageException {
        for (PortageException problem : pack.problems()) {
            throw problem;
        }
        Bench.Note heat = () -> DeviceCompat.thermalNote(app);
        Engine engine = app.engines().of(pack);
        return Bench.measure(engine, pack, threads, mode, WARM_UP, runs, heat, progress);
    }

    /** The name of a result's file. */
    static String fileName(ModelPackage pack) {
        return PackageStore.title(pack).toLowerCase(Locale.ROOT) + ".json";
    }
}
