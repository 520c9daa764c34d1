package com.baidu.paddle.lite;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

/**
 * Stands in for libpaddle_lite_jni: notes every call with its thread, and fails where a test asks.
 * It keeps to what is known of the real one, down to one output buffer that every run overwrites.
 */
public final class FakeLibrary {
    public static final List<String> CALLS = new ArrayList<>();
    public static final List<String> THREADS = new ArrayList<>();

    /** The calls that were made while the watched file was there. */
    public static final List<String> WATCHED = new ArrayList<>();

    public static File watched;
    public static String version;
    public static boolean opens;
    public static boolean hasInput;
    public static boolean resizes;
    public static boolean runs;
    public static boolean hasOutput;
    public static boolean lacksVersion;
    public static int outputs;
    public static long open;

    private FakeLibrary() {}

    public static synchronized void reset(String libraryVersion, int classes) {
        CALLS.clear();
        THREADS.clear();
        WATCHED.clear();
        watched = null;
        version = libraryVersion;
        opens = hasInput = resizes = runs = hasOutput = true;
        lacksVersion = false;
        outputs = classes;
        open = 0;
    }

    static synchronized void note(String call) {
        CALLS.add(call);
        if (watched != null && watched.exists()) {
            WATCHED.add(call);
        }
        String thread = Thread.currentThread().getName() + "#" + Thread.currentThread().getId();
        if (!THREADS.contains(thread)) {
            THREADS.add(thread);
        }
    }
}
