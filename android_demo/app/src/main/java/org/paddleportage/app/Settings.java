package org.paddleportage.app;

import android.content.Context;
import android.content.SharedPreferences;
import org.paddleportage.engine.PowerMode;

/** What the user chose, kept between starts. */
final class Settings {
    private static final String MODEL = "model";
    private static final String THREADS = "threads";
    private static final String POWER = "power";

    private final SharedPreferences kept;

    Settings(Context context) {
        kept = context.getSharedPreferences("settings", Context.MODE_PRIVATE);
    }

    /** How many threads this phone has cores for. */
    static int maxThreads() {
        return Runtime.getRuntime().availableProcessors();
    }

    /** The title of the chosen package; empty before the first choice. */
    String model() {
        return kept.getString(MODEL, "");
    }

    void setModel(String title) {
        kept.edit().putString(MODEL, title).apply();
    }

    /** 1 to {@link #maxThreads}. */
    int threads() {
        return Math.min(kept.getInt(THREADS, Math.min(4, maxThreads())), maxThreads());
    }

    void setThreads(int threads) {
        kept.edit().putInt(THREADS, threads).apply();
    }

    PowerMode powerMode() {
        String name = kept.getString(POWER, PowerMode.NO_BIND.name());
        for (PowerMode mode : PowerMode.values()) {
            if (mode.name().equals(name)) {
                return mode;
            }
        }
        return PowerMode.NO_BIND; // a later version of the app knew another one
    }

    void setPowerMode(PowerMode mode) {
        kept.edit().putString(POWER, mode.name()).apply();
    }
}
