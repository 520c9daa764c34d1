package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.OnnxInput;
import org.paddleportage.core.PortageException;

/** OpenCV's DNN module through its Java API, which is the same on Android and on a desktop's JVM. */
public final class OpenCvEngine extends OnnxEngine {
    static final String TITLE = "OpenCV";

    public OpenCvEngine() {
        super(
                "opencv",
                TITLE,
                new NativeLibrary(TITLE, "org.opencv.core.Core", OpenCvLibrary.class.getName()));
    }

    @Override
    String libraryVersion() {
        return OpenCvSession.libraryVersion();
    }

    @Override
    Session open(ModelPackage pack, int threads) throws PortageException {
        OnnxInput.requireSide(pack.modelFile(), pack.side());
        return OpenCvSession.open(pack, threads);
    }
}
