package org.paddleportage.app;

import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import java.util.Arrays;
import org.paddleportage.R;

/** What later Android versions can tell of the device; "unknown" on older ones. */
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
    @AsksForVersion
    static String thermalNote(Context context) {
        int level = THERMAL.length - 1;
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            level = context.getSystemService(PowerManager.class).getCurrentThermalStatus();
        }
        return NOTE + THERMAL[level];
    }

    /** Such a note in the phone's language. */
    static String translated(Context context, String note) {
        int level = Arrays.asList(THERMAL).indexOf(note.substring(NOTE.length()));
        return context.getResources().getStringArray(R.array.heat)[level];
    }

    /** The chip's maker and model; Android tells since version 12. */
    @AsksForVersion
    static String soc() {
        boolean told = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S
                && !Build.SOC_MODEL.equals(Build.UNKNOWN);
        return told ? Build.SOC_MANUFACTURER + " " + Build.SOC_MODEL : Build.UNKNOWN;
    }
}
