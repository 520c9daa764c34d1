package org.paddleportage.app;

import android.content.Context;
import java.util.Locale;
import org.paddleportage.R;
import org.paddleportage.core.Fault;
import org.paddleportage.core.Latency;
import org.paddleportage.core.Origin;
import org.paddleportage.core.PortageException;

/** What the user reads: faults and numbers in the phone's language. */
final class Sentences {
    private Sentences() {}

    /** A fault as a sentence. */
    static String of(Context context, PortageException problem) {
        return context.getString(text(problem.fault()), problem.details());
    }

    private static int text(Fault fault) {
        return switch (fault) {
            case UNREADABLE -> R.string.fault_unreadable;
            case MISSING -> R.string.fault_missing;
            case WRONG_SIZE -> R.string.fault_wrong_size;
            case WRONG_SHA256 -> R.string.fault_wrong_sha256;
            case NOT_JSON -> R.string.fault_not_json;
            case BAD_FIELD -> R.string.fault_bad_field;
            case OTHER_SCHEMA -> R.string.fault_other_schema;
            case UNSAFE_NAME -> R.string.fault_unsafe_name;
            case UNLISTED -> R.string.fault_unlisted;
            case IS_LINK -> R.string.fault_is_link;
            case NOT_SIGNED -> R.string.fault_not_signed;
            case UNKNOWN_KEY -> R.string.fault_unknown_key;
            case BAD_SIGNATURE -> R.string.fault_bad_signature;
            case CHANGED_AFTER_SIGNING -> R.string.fault_changed_after_signing;
            case BAD_KEY -> R.string.fault_bad_key;
            case LABEL_COUNT -> R.string.fault_label_count;
            case UNKNOWN_RESIZE -> R.string.fault_unknown_resize;
            case TOO_NARROW -> R.string.fault_too_narrow;
            case NOT_NB -> R.string.fault_not_nb;
            case NB_CUT_SHORT -> R.string.fault_nb_cut_short;
            case NB_VERSION -> R.string.fault_nb_version;
            case UNKNOWN_ENGINE -> R.string.fault_unknown_engine;
            case NO_LIBRARY -> R.string.fault_no_library;
            case LIBRARY_NOT_LOADED -> R.string.fault_library_not_loaded;
            case ENDED_THE_APP -> R.string.fault_ended_the_app;
            case NOT_OPENED -> R.string.fault_not_opened;
            case INPUT_SIZE -> R.string.fault_input_size;
            case INPUT_REFUSED -> R.string.fault_input_refused;
            case RUN_FAILED -> R.string.fault_run_failed;
            case OUTPUT_LENGTH -> R.string.fault_output_length;
            case NON_FINITE -> R.string.fault_non_finite;
            case CLOSED -> R.string.fault_closed;
            case STOPPED -> R.string.fault_stopped;
        };
    }

    /** Who made a package. */
    static String of(Context context, Origin origin) {
        return switch (origin.kind()) {
            case UNSIGNED -> context.getString(R.string.origin_unsigned);
            case UNCHECKED -> context.getString(R.string.origin_unchecked);
            case SIGNED -> context.getString(R.string.origin_signed, origin.keyName());
        };
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
