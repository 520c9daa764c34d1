package org.paddleportage.app;

import android.os.Handler;
import org.paddleportage.core.Fault;
import org.paddleportage.core.Labels;
import org.paddleportage.core.LatencyStats;
import org.paddleportage.core.Origin;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Preprocess;
import org.paddleportage.core.Scores;
import org.paddleportage.engine.Engine;
import org.paddleportage.engine.Engines;
import org.paddleportage.engine.Session;

/**
 * Runs photos through the chosen model, on a thread of its own. Of photos that come while one is
 * being recognized only the newest is kept; of two models chosen in a hurry only the last is opened.
 */
final class Recognizer {
    /** Hears what happens, on the main thread. */
    interface Listener {
        /** A model is being opened: what was said about the last one no longer holds. */
        void opening();

        /** It is open, and made by this one. */
        void opened(Origin origin);

        /** It cannot be opened. */
        void unopened(PortageException problem);

        void recognized(Recognition recognition);

        /** A photo cannot be recognized. */
        void fault(PortageException problem);
    }

    private static final int TOP = 5;
    private static final int WINDOW = 30;

    private final Engines engines;
    private final Handler main;
    private final LatencyStats stats = new LatencyStats(WINDOW);

    // Guarded by this.
    private Listener listener;
    private Choice wanted;
    private boolean failed;
    private InputImage waiting;

    // Touched by the thread only.
    private Choice opened;
    private Session session;
    private Preprocess preprocess;
    private Labels labels;

    Recognizer(Engines engines, Handler main) {
        this.engines = engines;
        this.main = main;
        Thread thread = new Thread(this::work, "recognizer");
        thread.setDaemon(true);
        thread.start();
    }

    /** Who hears from now on; null when the screen goes away. */
    synchronized void listen(Listener heard) {
        listener = heard;
    }

    /**
     * Chooses the model for the next photos; null closes it, which gives its memory back. The one
     * that is open stays open; one that could not be opened is tried again.
     */
    synchronized void choose(Choice choice) {
        if (failed || !same(choice, wanted)) {
            wanted = choice;
            failed = false;
            notifyAll();
        }
    }

    private static boolean same(Choice one, Choice other) {
        return one == null ? other == null : one.sameAs(other);
    }

    /** Offers a photo; it takes the place of one that still waits. */
    synchronized void offer(InputImage photo) {
        waiting = photo;
        notifyAll();
    }

    private void work() {
        while (true) {
            Choice choice;
            InputImage photo;
            synchronized (this) {
                while (!isWorkWaiting()) {
                    try {
                        wait();
                    } catch (InterruptedException nobodyInterrupts) {
                        return;
                    }
                }
                choice = wanted;
                photo = choice == opened ? waiting : null;
                waiting = photo == null ? waiting : null;
            }
            try {
                if (photo == null) {
                    open(choice);
                } else {
                    recognize(photo);
                }
            } catch (PortageException problem) {
                fail(problem);
            } catch (OutOfMemoryError full) {
                fail(new PortageException(Fault.RUN_FAILED, "Android", "out of memory"));
            }
        }
    }

    private void fail(PortageException problem) {
        boolean closed = session == null;
        synchronized (this) {
            failed = closed;
        }
        if (closed) {
            tell(heard -> heard.unopened(problem));
        } else {
            tell(heard -> heard.fault(problem));
        }
    }

    private boolean isWorkWaiting() {
        return wanted != opened || (waiting != null && session != null);
    }

    private void open(Choice choice) throws PortageException {
        if (session != null) {
            session.close();
            session = null;
        }
        opened = choice;
        stats.clear();
        if (choice == null) {
            return;
        }
        tell(Listener::opening);
        for (PortageException problem : choice.pack().problems()) {
            throw problem;
        }
        Origin origin = choice.pack().origin();
        labels = choice.pack().labels();
        preprocess = choice.pack().preprocess();
        Engine engine = engines.of(choice.pack());
        session = engine.open(choice.pack(), choice.threads(), choice.mode());
        tell(heard -> heard.opened(origin));
    }

    private void recognize(InputImage photo) throws PortageException {
        float[] chw = photo.chw(preprocess);
        long start = System.nanoTime();
        float[] logits = session.run(chw);
        stats.add(start, System.nanoTime());
        Recognition recognition =
                new Recognition(Scores.top(logits, TOP), labels, stats.latency(), stats.perSecond());
        tell(heard -> heard.recognized(recognition));
    }

    private interface Message {
        void to(Listener listener);
    }

    private void tell(Message message) {
        main.post(() -> {
            Listener now;
            synchronized (this) {
                now = listener;
            }
            if (now != null) {
                message.to(now);
            }
        });
    }
}
