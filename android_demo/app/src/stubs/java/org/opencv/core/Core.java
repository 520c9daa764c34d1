package org.opencv.core;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public class Core {
    public static native String getVersionString();

    public static native void setNumThreads(int threads);
}
