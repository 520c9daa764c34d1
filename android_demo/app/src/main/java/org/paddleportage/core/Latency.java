package org.paddleportage.core;

import java.util.Arrays;

/** Percentiles of so many runs, in milliseconds. */
public record Latency(double medianMs, double p90Ms, double p99Ms, int runs) {
    /** Of at least one duration, in nanoseconds. */
    public static Latency of(long[] nanos) {
        if (nanos.length == 0) {
            throw new IllegalArgumentException("no runs");
        }
        long[] ordered = nanos.clone();
        Arrays.sort(ordered);
        return new Latency(
                percentileMs(ordered, 0.50),
                percentileMs(ordered, 0.90),
                percentileMs(ordered, 0.99),
                ordered.length);
    }

    /** The smallest duration that so large a share of the runs does not exceed, as the toolkit's. */
    private static double percentileMs(long[] ordered, double share) {
        int rank = (int) Math.ceil(share * ordered.length);
        return ordered[rank - 1] / 1e6;
    }
}
