package org.paddleportage.app;

import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import java.util.Arrays;
import org.paddleportage.R;

/**
 * What later Android versions can tell of the device. The app is compiled against the oldest one, so
 * that nothing newer can slip in: these two are asked for by name, and are "unknown" where they are
 * absent.
 */
final class DeviceCompat {
    // Android's levels from 0 on, and what older versions say; R.array.heat has them in this order.
    private static final String[] THERMAL = {
        "none", "light", "moderate", "severe", "critical", "emergency", "shutdown", "unknown"
    };

    private static final String NOTE = "thermal ";

    private DeviceCompat() {}

    /**
     * How far the phone throttles because of heat, e.g. "thermal light"; Android tells since
     * version 10.
     */
    static String thermalNote(Context context) {
        Object manager = context.getSystemService(Context.POWER_SERVICE);
        try {
            Object status = PowerManager.class.getMethod("getCurrentThermalStatus").invoke(manager);
            return NOTE + THERMAL[(Integer) status];
        } catch (ReflectiveOperationException | RuntimeException absent) {
            return NOTE + THERMAL[THERMAL.length - 1];
        }
    }

    /** Such a note in the phone's language. */
    static String translated(Context context, String note) {
        int level = Arrays.asList(THERMAL).indexOf(note.substring(NOTE.length()));
        return context.getResources().getStringArray(R.array.heat)[level];
    }

    /** The chip's maker and model; Android tells since version 12. */
    static String soc() {
        try {
            return Build.class.getField("SOC_MANUFACTURER").get(null)
                    + " "
                    + Build.class.getField("SOC_MODEL").get(null);
        } catch (ReflectiveOperationException absent) {
            return "unknown";
        }
    }
}
