package org.paddleportage.engine;

/** OpenCV's native library, which none of its own classes loads: initializing this one does. */
final class OpenCvLibrary {
    // Android's name for it; Core.NATIVE_LIBRARY_NAME is that of other builds.
    private static final String NAME = "opencv_java4";

    static {
        System.loadLibrary(NAME);
    }

    private OpenCvLibrary() {}
}
