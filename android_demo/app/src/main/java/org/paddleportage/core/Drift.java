package org.paddleportage.core;

/**
 * How far a model's logits are from the reference's, photo by photo: the toolkit's {@code
 * deploy/verdict/drift.py}, which says what each number means.
 */
public final class Drift {
    /** The numeric gate's limit on a photo's relative logit difference. */
    public static final double MAX_RELATIVE = 1e-3;

    private int images;
    private int referenceTop1;
    private int referenceTop5;
    private int measuredTop1;
    private int measuredTop5;
    private int gained;
    private int lost;
    private int flips;
    private int flipsBeyondTie;
    private double maxAbs;
    private double maxRel;
    private int nonFinite;
    private int nonFinitePhotos;
    private int referenceNonFinite;

    /** Adds a photo. */
    void add(float[] reference, float[] measured, int label) {
        images++;
        int expectedRank = rank(reference, label);
        int rank = rank(measured, label);
        referenceTop1 += expectedRank < 1 ? 1 : 0;
        referenceTop5 += expectedRank < 5 ? 1 : 0;
        measuredTop1 += rank < 1 ? 1 : 0;
        measuredTop5 += rank < 5 ? 1 : 0;
        gained += expectedRank >= 1 && rank < 1 ? 1 : 0;
        lost += expectedRank < 1 && rank >= 1 ? 1 : 0;
        int unsound = Scores.nonFinite(measured);
        int referenceUnsound = Scores.nonFinite(reference);
        nonFinite += unsound;
        nonFinitePhotos += unsound > 0 ? 1 : 0;
        referenceNonFinite += referenceUnsound;

        double moved = 0;
        double scale = 0;
        for (int i = 0; i < reference.length; i++) {
            if (Scores.isFinite(reference[i]) && Scores.isFinite(measured[i])) {
                moved = Math.max(moved, Math.abs((double) reference[i] - measured[i]));
                scale = Math.max(scale, Math.abs((double) reference[i]));
            }
        }
        maxAbs = Math.max(maxAbs, moved);
        // Against a reference of zeros any difference is total.
        maxRel = Math.max(maxRel, scale > 0 ? moved / scale : moved > 0 ? 1 : 0);
        boolean sound = unsound + referenceUnsound == 0;
        if (!sound || Scores.decision(reference) != Scores.decision(measured)) {
            flips++;
            flipsBeyondTie += sound && lead(reference) < moved ? 0 : 1;
        }
    }

    /** How many classes come before the right one; all of them where a logit is not finite. */
    private static int rank(float[] logits, int label) {
        if (Scores.nonFinite(logits) > 0) {
            return Integer.MAX_VALUE;
        }
        int before = 0;
        for (int i = 0; i < logits.length; i++) {
            if (logits[i] > logits[label] || (logits[i] == logits[label] && i < label)) {
                before++;
            }
        }
        return before;
    }

    /** By how much the highest logit exceeds the second highest. */
    private static double lead(float[] logits) {
        int best = Scores.decision(logits);
        double second = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < logits.length; i++) {
            if (i != best) {
                second = Math.max(second, logits[i]);
            }
        }
        return logits[best] - second;
    }

    public int images() {
        return images;
    }

    /** Photos whose decision is the reference's. */
    public int agreed() {
        return images - flips;
    }

    /** Flips that no tie explains: the reference's lead was no less than the photo moved. */
    public int flipsBeyondTie() {
        return flipsBeyondTie;
    }

    /** Photos wrong by the reference and right here. */
    public int gained() {
        return gained;
    }

    /** Photos right by the reference and wrong here. */
    public int lost() {
        return lost;
    }

    /** The share, of 1, of photos that the reference gets right. */
    public double referenceTop1() {
        return (double) referenceTop1 / images;
    }

    public double referenceTop5() {
        return (double) referenceTop5 / images;
    }

    public double measuredTop1() {
        return (double) measuredTop1 / images;
    }

    public double measuredTop5() {
        return (double) measuredTop5 / images;
    }

    /** The largest difference of two logits, both finite. */
    public double maxAbs() {
        return maxAbs;
    }

    /** The largest, over photos, of max|a − b| / max|a|. */
    public double maxRel() {
        return maxRel;
    }

    /** Logits of this model that are not finite. */
    public int nonFinite() {
        return nonFinite;
    }

    /** Photos with such a logit: they have no decision. */
    public int nonFinitePhotos() {
        return nonFinitePhotos;
    }

    public int referenceNonFinite() {
        return referenceNonFinite;
    }
}
