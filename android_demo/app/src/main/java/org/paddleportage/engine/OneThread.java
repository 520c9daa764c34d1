package org.paddleportage.engine;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;

/** A thread that does one thing after the other, for whoever asks. */
final class OneThread {
    private final ExecutorService executor;

    OneThread(String name) {
        executor = Executors.newSingleThreadExecutor(work -> {
            Thread thread = new Thread(work, name);
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Does the work there and waits for it. What it throws is thrown here. */
    <T> T call(Callable<T> work) throws PortageException {
        Future<T> result;
        try {
            result = executor.submit(work);
        } catch (RejectedExecutionException closed) {
            throw new PortageException(Fault.CLOSED);
        }
        return outcome(result);
    }

    /** Does the last work and ends the thread; nothing where it has ended. */
    void close(Runnable last) {
        try {
            Future<?> result = executor.submit(last);
            executor.shutdown();
            outcome(result);
        } catch (RejectedExecutionException closedBefore) {
            // Then the last work is done.
        } catch (PortageException impossible) { // a Runnable throws none
            throw new AssertionError(impossible);
        }
    }

    /** Waits to the end even when interrupted: the work goes on, and its memory must live. */
    private static <T> T outcome(Future<T> result) throws PortageException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return result.get();
                } catch (InterruptedException again) {
                    interrupted = true;
                } catch (ExecutionException error) {
                    throw rethrown(error.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static PortageException rethrown(Throwable cause) {
        if (cause instanceof RuntimeException) {
            throw (RuntimeException) cause;
        }
        if (cause instanceof Error) {
            throw (Error) cause;
        }
        return (PortageException) cause;
    }
}
