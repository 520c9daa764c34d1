package com.baidu.paddle.lite;

/** Shape only, to compile against where Paddle Lite's own archive is not at hand; never shipped. */
public class PaddlePredictor {
    public PaddlePredictor(ConfigBase config) {}

    protected native boolean init(ConfigBase config);

    protected native boolean clear();

    public native String getVersion();

    public native Tensor getInput(int index);

    public native Tensor getOutput(int index);

    public native boolean run();
}
