package org.paddleportage.core;

/**
 * One measurement of the bench.
 *
 * @param engineVersion the library's own
 * @param powerMode as the engine knows it, "none" where it has none
 * @param note e.g. that the phone was hot; may be empty
 */
public record BenchRow(
        ModelPackage pack,
        String engineVersion,
        int threads,
        String powerMode,
        Latency latency,
        String note) {}
