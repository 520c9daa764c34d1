package org.paddleportage.app;

import java.util.ArrayList;
import java.util.List;
import org.paddleportage.core.PortageException;

/**
 * How far a long job is, line by line: kept while its screen is made anew (turned, in other
 * colours), and told to whichever screen is there. Touched on the main thread only.
 *
 * @param <R> what a line is about
 */
final class JobState<R> {
    private final List<R> lines = new ArrayList<>();
    private Runnable changed = () -> {};
    private Job job;
    private String running = "";
    private PortageException problem;
    private boolean ended;
    private int done;
    private int total = 1;

    /** Who shows it from now on. */
    void shownBy(Runnable screen) {
        changed = screen;
    }

    void start(DemoApp app, Job.Work work) {
        lines.clear();
        ended = false;
        running = "";
        job = Job.start(app.work(), app.main(), work, this::end);
        changed.run();
    }

    void stop() {
        if (job != null) {
            job.stop();
        }
    }

    /** What is being done now, e.g. "SqueezeNet1_1-onnx-fp32 at 2 threads…". */
    void running(String what) {
        running = what;
        changed.run();
    }

    void progress(int runs, int ofRuns) {
        done = runs;
        total = ofRuns;
        changed.run();
    }

    void add(R line) {
        lines.add(line);
        changed.run();
    }

    private void end(PortageException found) {
        job = null;
        ended = true;
        problem = found;
        progress(0, 1);
    }

    boolean isRunning() {
        return job != null;
    }

    /** Whether a job came to its end, with or without a problem; not before the first one starts. */
    boolean hasEnded() {
        return ended;
    }

    /** Why it ended early; null where it did not. */
    PortageException problem() {
        return problem;
    }

    String running() {
        return running;
    }

    int done() {
        return done;
    }

    int total() {
        return total;
    }

    List<R> lines() {
        return lines;
    }
}
