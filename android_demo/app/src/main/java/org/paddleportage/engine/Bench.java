package org.paddleportage.engine;

import java.util.Locale;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.Fault;
import org.paddleportage.core.Golden;
import org.paddleportage.core.Latency;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Progress;

/** Measures how long a model takes, at one number of threads. */
public final class Bench {
    private Bench() {}

    /** What the phone says about itself after a measurement, e.g. how hot it is. */
    public interface Note {
        String text();
    }

    /**
     * Opens a package's model, runs a golden photo {@code warmUp} times and then {@code runs}
     * times. What is timed is the engine alone: the input is there, the output is taken over.
     */
    public static BenchRow measure(
            Engine engine,
            ModelPackage pack,
            int threads,
            PowerMode mode,
            int warmUp,
            int runs,
            Note note,
            Progress progress)
            throws PortageException {
        Golden golden = pack.golden();
        float[] chw = pack.preprocess().normalize(golden.crop(0));
        long[] nanos = new long[runs];
        try (Session session = engine.open(pack, threads, mode)) {
            for (int run = -warmUp; run < runs; run++) {
                long start = System.nanoTime();
                session.run(chw);
                long end = System.nanoTime();
                if (run >= 0) {
                    nanos[run] = end - start;
                }
                if (!progress.goesOn(run + warmUp + 1, warmUp + runs)) {
                    throw new PortageException(Fault.STOPPED);
                }
            }
        }
        return new BenchRow(
                pack,
                engine.version(),
                threads,
                powerMode(engine, mode),
                Latency.of(nanos),
                note.text());
    }

    /** How results call a power mode; "none" for an engine that has none. */
    public static String powerMode(Engine engine, PowerMode mode) {
        return engine.hasPowerModes() ? mode.name().toLowerCase(Locale.ROOT) : "none";
    }
}
