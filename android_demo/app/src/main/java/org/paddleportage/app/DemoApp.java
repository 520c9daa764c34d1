package org.paddleportage.app;

import android.app.Application;
import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.paddleportage.engine.Engines;

/** What all screens share: the packages, the engines, the settings, the running model. */
public final class DemoApp extends Application {
    /** Hears about the packages, on the main thread. */
    interface Loaded {
        void packages(PackageStore store);
    }

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService work = Executors.newSingleThreadExecutor();
    private final Engines engines = new Engines(null); // archives do not say their version
    private Settings settings;
    private Recognizer recognizer;
    private PackageStore store;

    @Override
    public void onCreate() {
        super.onCreate();
        settings = new Settings(this);
        recognizer = new Recognizer(engines, main);
    }

    Engines engines() {
        return engines;
    }

    Settings settings() {
        return settings;
    }

    Recognizer recognizer() {
        return recognizer;
    }

    /** A thread for long work, one after the other. */
    ExecutorService work() {
        return work;
    }

    Handler main() {
        return main;
    }

    /** Tells what packages there are; the first time they are unpacked, which takes a while. */
    void whenLoaded(Loaded loaded) {
        work.execute(() -> {
            if (store == null) {
                store = PackageStore.load(this, engines);
            }
            PackageStore found = store;
            main.post(() -> loaded.packages(found));
        });
    }
}
