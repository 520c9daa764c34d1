package org.opencv.core;

import java.nio.ByteBuffer;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public class Mat {
    public Mat(int rows, int columns, int type, ByteBuffer data) {}

    public native Mat reshape(int channels, int[] sizes);

    public native Mat reshape(int channels, int rows);

    public native long total();

    public native int get(int row, int column, float[] data);

    public native void release();
}
