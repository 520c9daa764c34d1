package org.opencv.core;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public class CvException extends RuntimeException {
    public CvException(String message) {
        super(message);
    }
}
