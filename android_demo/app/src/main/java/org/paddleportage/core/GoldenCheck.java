package org.paddleportage.core;

import java.util.ArrayList;
import java.util.List;

/**
 * A package's golden photos through an engine: what was decided, how far it is from the toolkit's
 * own numbers, and how long each photo took.
 *
 * @param decisions the top-1 class of each photo; null where a logit was not finite
 */
public record GoldenCheck(Drift drift, Verdict verdict, List<Integer> decisions, Latency latency) {
    /** Runs all golden photos, in order. */
    public static GoldenCheck run(ModelPackage pack, Classifier classifier, Progress progress)
            throws PortageException {
        Golden golden = pack.golden();
        Preprocess preprocess = pack.preprocess();
        Drift drift = new Drift();
        List<Integer> decisions = new ArrayList<>();
        long[] nanos = new long[golden.count()];
        for (int photo = 0; photo < golden.count(); photo++) {
            float[] chw = preprocess.normalize(golden.crop(photo));
            long start = System.nanoTime();
            float[] logits = classifier.run(chw);
            nanos[photo] = System.nanoTime() - start;
            drift.add(golden.logits(photo), logits, golden.label(photo));
            decisions.add(Scores.nonFinite(logits) > 0 ? null : Scores.decision(logits));
            if (!progress.goesOn(photo + 1, golden.count())) {
                throw new PortageException(Fault.STOPPED);
            }
        }
        Verdict verdict = Verdict.of(drift, pack.numericGate());
        return new GoldenCheck(drift, verdict, decisions, Latency.of(nanos));
    }
}
