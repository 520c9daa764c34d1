package com.baidu.paddle.lite;

public class MobileConfig extends ConfigBase {
    public void setModelFromFile(String path) {
        FakeLibrary.note("setModelFromFile " + path.substring(path.lastIndexOf('/') + 1));
    }

    public void setThreads(int threads) {
        FakeLibrary.note("setThreads " + threads);
    }

    public void setPowerMode(PowerMode mode) {
        FakeLibrary.note("setPowerMode " + mode);
    }
}
