package com.baidu.paddle.lite;

/** Shape only, to compile against where Paddle Lite's own archive is not at hand; never shipped. */
public class MobileConfig extends ConfigBase {
    public native void setModelFromFile(String path);

    public native void setThreads(int threads);

    public native void setPowerMode(PowerMode mode);
}
