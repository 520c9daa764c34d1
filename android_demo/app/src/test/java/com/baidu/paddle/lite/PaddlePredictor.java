package com.baidu.paddle.lite;

public class PaddlePredictor {
    static {
        if (Boolean.getBoolean("fake.unloadable")) {
            throw new UnsatisfiedLinkError("libpaddle_lite_jni.so is for another processor");
        }
    }

    final float[] outputBuffer = new float[FakeLibrary.outputs];
    float[] inputBuffer = {};
    private long pointer;

    public PaddlePredictor(ConfigBase config) {
        init(config);
    }

    protected boolean init(ConfigBase config) {
        FakeLibrary.note("create");
        if (FakeLibrary.opens) {
            pointer = 1;
            FakeLibrary.open++;
        }
        return FakeLibrary.opens;
    }

    protected boolean clear() {
        FakeLibrary.note("clear");
        FakeLibrary.open -= pointer;
        boolean had = pointer != 0;
        pointer = 0;
        return had;
    }

    public String getVersion() {
        if (FakeLibrary.lacksVersion) {
            throw new NoSuchMethodError("getVersion");
        }
        FakeLibrary.note("getVersion");
        return FakeLibrary.version;
    }

    public Tensor getInput(int index) {
        FakeLibrary.note("getInput " + index);
        return FakeLibrary.hasInput ? new Tensor(1, false, this) : null;
    }

    public Tensor getOutput(int index) {
        FakeLibrary.note("getOutput " + index);
        return FakeLibrary.hasOutput ? new Tensor(2, true, this) : null;
    }

    public boolean run() {
        FakeLibrary.note("run");
        if (pointer == 0) {
            throw new IllegalStateException("a real library would end the process here");
        }
        for (int i = 0; i < outputBuffer.length; i++) {
            outputBuffer[i] = inputBuffer[i]; // so that a result says which input it is of
        }
        return FakeLibrary.runs;
    }
}
