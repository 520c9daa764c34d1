package org.opencv.dnn;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public class Dnn {
    public static final int DNN_BACKEND_OPENCV = 3;
    public static final int DNN_TARGET_CPU = 0;

    public static native Net readNetFromONNX(String file);
}
