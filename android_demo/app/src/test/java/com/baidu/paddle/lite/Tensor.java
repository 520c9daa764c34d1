package com.baidu.paddle.lite;

import java.util.Arrays;

public class Tensor {
    private final PaddlePredictor predictor;
    private long[] shape = {};

    protected Tensor(long pointer, boolean readOnly, PaddlePredictor predictor) {
        this.predictor = predictor;
    }

    public boolean resize(long[] dimensions) {
        FakeLibrary.note("resize " + Arrays.toString(dimensions));
        shape = dimensions.clone();
        return FakeLibrary.resizes;
    }

    public boolean setData(float[] values) {
        FakeLibrary.note("setData");
        long wanted = 1;
        for (long side : shape) {
            wanted *= side;
        }
        predictor.inputBuffer = values.clone();
        return values.length == wanted;
    }

    public float[] getFloatData() {
        FakeLibrary.note("getFloatData");
        return predictor.outputBuffer.clone();
    }
}
