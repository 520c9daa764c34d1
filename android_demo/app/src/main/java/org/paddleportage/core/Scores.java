package org.paddleportage.core;

import java.util.ArrayList;
import java.util.List;

/** What logits say. Of equal logits the lower class comes first, as in the toolkit. */
public final class Scores {
    private Scores() {}

    /** The probabilities of all classes: exp(x − max) over the sum of them. */
    static double[] softmax(float[] logits) throws PortageException {
        requireFinite(logits);
        double highest = logits[decision(logits)];
        double[] shares = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            shares[i] = Math.exp(logits[i] - highest);
            sum += shares[i];
        }
        for (int i = 0; i < shares.length; i++) {
            shares[i] /= sum;
        }
        return shares;
    }

    /** The {@code count} likeliest classes (all, where there are fewer), the likeliest first. */
    public static List<Guess> top(float[] logits, int count) throws PortageException {
        double[] shares = softmax(logits);
        boolean[] taken = new boolean[logits.length];
        List<Guess> best = new ArrayList<>();
        while (best.size() < Math.min(count, logits.length)) {
            int next = -1;
            for (int i = 0; i < logits.length; i++) {
                // By logits: different ones can have equal probabilities after rounding.
                if (!taken[i] && (next < 0 || logits[i] > logits[next])) {
                    next = i;
                }
            }
            taken[next] = true;
            best.add(new Guess(next, shares[next]));
        }
        return best;
    }

    /** The class with the highest logit. */
    public static int decision(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            if (logits[i] > logits[best]) {
                best = i;
            }
        }
        return best;
    }

    /** How many of the values are infinite or not a number. */
    static int nonFinite(float[] values) {
        int count = 0;
        for (float value : values) {
            if (!isFinite(value)) {
                count++;
            }
        }
        return count;
    }

    /** Float.isFinite exists since Android 7 (API 24) only. */
    static boolean isFinite(float value) {
        return !Float.isNaN(value) && !Float.isInfinite(value);
    }

    private static void requireFinite(float[] logits) throws PortageException {
        int count = nonFinite(logits);
        if (count > 0) {
            throw new PortageException(Fault.NON_FINITE, count);
        }
    }
}
