package org.paddleportage.core;

import java.util.Locale;

/** What a gate says. The words are those of the toolkit's results. */
public enum Verdict {
    PASS,
    FAIL,
    /** So few photos say nothing about a small loss of accuracy; the toolkit's import judges. */
    UNDECIDED;

    /**
     * The verdict on a drift.
     *
     * @param numericGate whether the model must compute what the reference does; otherwise only
     *     its accuracy counts, and a handful of photos can never prove that
     */
    public static Verdict of(Drift drift, boolean numericGate) {
        if (drift.nonFinite() + drift.referenceNonFinite() > 0) {
            return FAIL;
        }
        if (!numericGate) {
            return UNDECIDED;
        }
        boolean equal = drift.maxRel() <= Drift.MAX_RELATIVE && drift.flipsBeyondTie() == 0;
        return equal ? PASS : FAIL;
    }

    /** "pass", "fail" or "undecided". */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
