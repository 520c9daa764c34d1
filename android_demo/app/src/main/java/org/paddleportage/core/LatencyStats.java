package org.paddleportage.core;

/** The latest runs of a stream: how long they took, and how many there are in a second. */
public final class LatencyStats {
    private final long[] starts;
    private final long[] ends;
    private int count;

    /** @param window how many of the latest runs count */
    public LatencyStats(int window) {
        starts = new long[window];
        ends = new long[window];
    }

    /** One run, by {@link System#nanoTime()} before and after it. */
    public synchronized void add(long start, long end) {
        starts[count % starts.length] = start;
        ends[count % ends.length] = end;
        count++;
    }

    public synchronized void clear() {
        count = 0;
    }

    /** Of the runs in the window; null before the first one. */
    public synchronized Latency latency() {
        int held = Math.min(count, starts.length);
        if (held == 0) {
            return null;
        }
        long[] nanos = new long[held];
        for (int i = 0; i < held; i++) {
            nanos[i] = ends[i] - starts[i];
        }
        return Latency.of(nanos);
    }

    /** Runs that ended per second of wall time, over the window; 0 before the second one. */
    public synchronized double perSecond() {
        int held = Math.min(count, ends.length);
        if (held < 2) {
            return 0;
        }
        long last = ends[(count - 1) % ends.length];
        long first = ends[(count - held) % ends.length];
        return (held - 1) / Math.max((last - first) / 1e9, 1e-9);
    }
}
