package org.paddleportage.core;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A golden check in the toolkit's result format, for {@code python deploy/validate.py --import};
 * docs/result.md describes it. The reason is in English, as all of the toolkit's are.
 */
public final class ResultJson {
    private ResultJson() {}

    /**
     * The JSON text of a check.
     *
     * @param engineVersion the library's own
     * @param powerMode as the engine knows it, "none" where it has none
     */
    public static String write(
            ModelPackage pack,
            GoldenCheck check,
            Device device,
            String engineVersion,
            int threads,
            String powerMode)
            throws PortageException {
        Drift drift = check.drift();
        return Json.write(
                object(
                        "schema", 2,
                        "model", pack.model(),
                        "name", pack.name(),
                        "target", pack.target(),
                        "precision", pack.precision(),
                        "weights", pack.weights(),
                        "host", object("name", "phone", "isa", List.of(device.abi())),
                        "execution", "native",
                        "files", object(pack.modelName(), pack.modelSha256()),
                        "data", object(
                                "name", pack.photosName(),
                                "images", drift.images(),
                                "sha256", pack.photosSha256()),
                        "verdict", check.verdict().word(),
                        "reason", reason(drift, check.verdict()),
                        "reference", object(
                                "runtime", "paddle",
                                "top1", drift.referenceTop1(),
                                "top5", drift.referenceTop5()),
                        "measured", object(
                                "top1", drift.measuredTop1(),
                                "top5", drift.measuredTop5()),
                        "drift", numbers(drift),
                        "decisions", check.decisions(),
                        "budget", budget(pack.numericGate()),
                        "environment", object(
                                "device", device.device(),
                                "soc", device.soc(),
                                "abi", device.abi(),
                                "android", device.android(),
                                "engine", pack.engine(),
                                "versions", object("app", device.app(), pack.engine(), engineVersion),
                                "threads", threads,
                                "power_mode", powerMode),
                        "latency", object("1", latency(check.latency()))));
    }

    private static Map<String, Object> numbers(Drift drift) {
        return object(
                "top1_pp", 100.0 * (drift.gained() - drift.lost()) / drift.images(),
                "agreement", (double) drift.agreed() / drift.images(),
                "gained", drift.gained(),
                "lost", drift.lost(),
                "flips_beyond_tie", drift.flipsBeyondTie(),
                "max_abs", drift.maxAbs(),
                "max_rel", drift.maxRel(),
                "non_finite", drift.nonFinite(),
                "non_finite_photos", drift.nonFinitePhotos());
    }

    private static Map<String, Object> latency(Latency latency) {
        return object(
                "median_ms", latency.medianMs(),
                "p90_ms", latency.p90Ms(),
                "p99_ms", latency.p99Ms(),
                "runs", latency.runs());
    }

    private static Map<String, Object> budget(boolean numericGate) {
        return numericGate
                ? object(
                        "kind", "numeric",
                        "limit", "relative logit difference <= 1e-03, no top-1 change except on ties")
                : object("kind", "statistical", "limit", "judged where the result is imported");
    }

    private static String reason(Drift drift, Verdict verdict) {
        if (drift.nonFinite() + drift.referenceNonFinite() > 0) {
            return String.format(
                    Locale.ROOT,
                    "%d logits of the phone and %d of the reference are not finite",
                    drift.nonFinite(), drift.referenceNonFinite());
        }
        String numbers = String.format(
                Locale.ROOT,
                "on the phone %d of %d golden photos are decided as by the reference, and the "
                        + "largest relative logit difference is %.2e",
                drift.agreed(), drift.images(), drift.maxRel());
        switch (verdict) {
            case FAIL:
                return String.format(
                        Locale.ROOT,
                        "%s: above 1e-03, or a change that no tie explains (%d)",
                        numbers, drift.flipsBeyondTie());
            case UNDECIDED:
                return numbers + ": so few photos decide nothing about accuracy";
            default:
                return numbers;
        }
    }

    /** A JSON object of keys and values in turn. */
    private static Map<String, Object> object(Object... keysAndValues) {
        Map<String, Object> members = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            members.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return members;
    }
}
