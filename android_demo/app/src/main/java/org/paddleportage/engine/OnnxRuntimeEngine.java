package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** ONNX Runtime through its Java API, which is the same on Android and on a desktop's JVM. */
public final class OnnxRuntimeEngine implements Engine {
    static final String TITLE = "ONNX Runtime";

    private final NativeLibrary library =
            new NativeLibrary(TITLE, "ai.onnxruntime.OrtEnvironment");

    @Override
    public String id() {
        return "onnxruntime";
    }

    @Override
    public String title() {
        return TITLE;
    }

    @Override
    public PortageException problem() {
        return library.problem();
    }

    @Override
    public String version() {
        return problem() == null ? OnnxRuntimeSession.libraryVersion() : null;
    }

    @Override
    public boolean hasPowerModes() {
        return false;
    }

    @Override
    public Session open(ModelPackage pack, int threads, PowerMode mode) throws PortageException {
        if (problem() != null) {
            throw problem();
        }
        try {
            return OnnxRuntimeSession.open(pack, threads);
        } catch (LinkageError error) { // a class or a function that this library does not have
            throw library.notLoaded(error);
        }
    }
}
