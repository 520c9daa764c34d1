package com.baidu.paddle.lite;

/** Shape only, to compile against where Paddle Lite's own archive is not at hand; never shipped. */
public class Tensor {
    protected Tensor(long pointer, boolean readOnly, PaddlePredictor predictor) {}

    public native boolean resize(long[] shape);

    public native boolean setData(float[] values);

    public native float[] getFloatData();
}
