package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.OnnxInput;
import org.paddleportage.core.PortageException;

/** OpenCV's DNN module through its Java API, which is the same on Android and on a desktop's JVM. */
public final class OpenCvEngine implements Engine {
    static final String TITLE = "OpenCV";

    private final NativeLibrary library =
            new NativeLibrary(TITLE, "org.opencv.core.Core", OpenCvLibrary.class.getName());

    @Override
    public String id() {
        return "opencv";
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
        return problem() == null ? OpenCvSession.libraryVersion() : null;
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
        OnnxInput.requireSide(pack.modelFile(), pack.side());
        try {
            return OpenCvSession.open(pack, threads);
        } catch (LinkageError error) { // a class or a function that this library does not have
            throw library.notLoaded(error);
        }
    }
}
