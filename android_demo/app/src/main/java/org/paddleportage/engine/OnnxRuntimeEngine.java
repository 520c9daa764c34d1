package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** ONNX Runtime through its Java API, which is the same on Android and on a desktop's JVM. */
public final class OnnxRuntimeEngine extends OnnxEngine {
    static final String TITLE = "ONNX Runtime";

    public OnnxRuntimeEngine() {
        super("onnxruntime", TITLE, new NativeLibrary(TITLE, "ai.onnxruntime.OrtEnvironment"));
    }

    @Override
    String libraryVersion() {
        return OnnxRuntimeSession.libraryVersion();
    }

    @Override
    Session open(ModelPackage pack, int threads) throws PortageException {
        return OnnxRuntimeSession.open(pack, threads);
    }
}
