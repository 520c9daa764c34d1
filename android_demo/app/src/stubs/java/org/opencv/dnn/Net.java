package org.opencv.dnn;

import java.util.List;
import org.opencv.core.Mat;

/** Shape only, to compile against where OpenCV's own archive is not at hand; never shipped. */
public class Net {
    protected final long nativeObj;

    protected Net(long address) {
        nativeObj = address;
    }

    public native long getNativeObjAddr();

    public native boolean empty();

    public native List<String> getUnconnectedOutLayersNames();

    public native void setPreferableBackend(int backend);

    public native void setPreferableTarget(int target);

    public native void setInput(Mat blob);

    public native Mat forward(String output);

    @Override
    protected void finalize() throws Throwable {}
}
