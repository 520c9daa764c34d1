package org.paddleportage.app;

import android.os.Handler;
import java.util.concurrent.ExecutorService;
import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Progress;

/** Work on another thread that can be stopped; what it shows is shown on the main thread. */
final class Job {
    /** What is to be done; asks {@code goesOn} now and then. */
    interface Work {
        void run(Job job) throws PortageException;
    }

    /** Hears how it ended, on the main thread; {@code problem} is null where it went well. */
    interface End {
        void ended(PortageException problem);
    }

    private final Handler main;
    private volatile boolean stopped;

    private Job(Handler main) {
        this.main = main;
    }

    static Job start(ExecutorService thread, Handler main, Work work, End end) {
        Job job = new Job(main);
        thread.execute(() -> {
            PortageException problem = null;
            try {
                work.run(job);
            } catch (PortageException error) {
                problem = error;
            } catch (OutOfMemoryError full) {
                problem = new PortageException(Fault.RUN_FAILED, "Android", "out of memory");
            }
            PortageException found = problem;
            main.post(() -> end.ended(found));
        });
        return job;
    }

    void stop() {
        stopped = true;
    }

    boolean goesOn() {
        return !stopped;
    }

    /** What a state hears of one step's progress; tells whether the job goes on. */
    Progress progress(JobState<?> state) {
        return (done, total) -> {
            show(() -> state.progress(done, total));
            return goesOn();
        };
    }

    /** Shows something, unless the job was stopped meanwhile. */
    void show(Runnable show) {
        main.post(() -> {
            if (!stopped) {
                show.run();
            }
        });
    }
}
