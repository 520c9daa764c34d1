package org.opencv.core;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public final class CvType {
    public static final int CV_32F = 5;
}
