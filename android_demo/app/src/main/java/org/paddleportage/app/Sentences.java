package org.paddleportage.app;

import android.content.Context;
import java.util.Locale;
import org.paddleportage.R;
import org.paddleportage.core.Latency;
import org.paddleportage.core.PortageException;

/** What the user reads: faults and numbers in the phone's language. */
final class Sentences {
    private Sentences() {}

    /** A fault as a sentence; in English where there is no translation. */
    static String of(Context context, PortageException problem) {
        String prefix = problem.fault().name() + "=";
        for (String line : context.getResources().getStringArray(R.array.faults)) {
            if (line.startsWith(prefix)) {
                String sentence = line.substring(prefix.length());
                return String.format(Locale.getDefault(), sentence, problem.details());
            }
        }
        return problem.getMessage();
    }

    /** A number of milliseconds with three digits that say something. */
    static String ms(double value) {
        String form = value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f";
        return String.format(Locale.getDefault(), form, value);
    }

    /** e.g. "12.3 ms median · 14.0 ms p90". */
    static String latency(Context context, Latency latency) {
        return context.getString(
                R.string.latency, ms(latency.medianMs()), ms(latency.p90Ms()));
    }

    static String megabytes(long bytes) {
        return String.format(Locale.getDefault(), "%.1f MB", bytes / 1e6);
    }
}
