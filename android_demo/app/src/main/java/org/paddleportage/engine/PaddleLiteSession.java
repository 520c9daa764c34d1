package org.paddleportage.engine;

import com.baidu.paddle.lite.ConfigBase;
import com.baidu.paddle.lite.MobileConfig;
import com.baidu.paddle.lite.PaddlePredictor;
import com.baidu.paddle.lite.Tensor;
import java.io.File;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/**
 * A model in Paddle Lite, on a thread of its own: the library binds the thread that calls it to
 * cores, and keeps work space for it. Apart from its engine, which must load without the library.
 */
final class PaddleLiteSession implements Session {
    private final File model;
    private final int side;
    private final int classes;
    private final CrashMarker marker;
    private final OneThread thread = new OneThread(PaddleLiteEngine.TITLE);
    // Touched by that thread only.
    private Predictor predictor;
    private Tensor input;
    private Tensor output;

    PaddleLiteSession(ModelPackage pack, CrashMarker marker) {
        model = pack.modelFile();
        side = pack.side();
        classes = pack.classes();
        this.marker = marker;
    }

    /** A predictor whose memory can be given back: the library leaves that to the collector. */
    private static final class Predictor extends PaddlePredictor {
        // Set by init, which the constructor above calls: an initializer here would undo it.
        private boolean opened;

        Predictor(MobileConfig config) {
            super(config);
        }

        @Override
        protected boolean init(ConfigBase config) {
            opened = super.init(config);
            return opened;
        }

        void release() {
            clear();
        }
    }

    /** Opens the model and returns the library's version; what fails leaves nothing open. */
    String open(int threads, PowerMode mode) throws PortageException {
        boolean opened = false;
        try {
            String version = thread.call(() -> load(threads, mode));
            opened = true;
            return version;
        } finally {
            marker.clear();
            if (!opened) {
                close();
            }
        }
    }

    private String load(int threads, PowerMode mode) throws PortageException {
        MobileConfig config = new MobileConfig();
        // From a file: a buffer travels as text, which binary models do not survive.
        config.setModelFromFile(model.getPath());
        config.setThreads(threads);
        config.setPowerMode(com.baidu.paddle.lite.PowerMode.valueOf("LITE_POWER_" + mode.name()));
        predictor = new Predictor(config);
        if (!predictor.opened) {
            throw notOpened("it gives no reason");
        }
        input = predictor.getInput(0);
        if (input == null || !input.resize(new long[] {1, 3, side, side})) {
            throw notOpened("the model takes no photos of " + side + " × " + side + " pixels");
        }
        String version = predictor.getVersion();
        return version == null ? "" : version;
    }

    private PortageException notOpened(String why) {
        return new PortageException(
                Fault.NOT_OPENED, PaddleLiteEngine.TITLE, model.getName(), why);
    }

    @Override
    public float[] run(float[] chw) throws PortageException {
        return thread.call(() -> infer(chw));
    }

    private float[] infer(float[] chw) throws PortageException {
        if (!input.setData(chw)) {
            throw new PortageException(Fault.INPUT_REFUSED, PaddleLiteEngine.TITLE, chw.length);
        }
        if (!runPredictor()) {
            throw new PortageException(
                    Fault.RUN_FAILED, PaddleLiteEngine.TITLE, "it gives no reason");
        }
        if (output == null) {
            output = predictor.getOutput(0);
        }
        float[] logits = output == null ? new float[0] : output.getFloatData(); // a copy
        if (logits.length != classes) {
            throw new PortageException(
                    Fault.OUTPUT_LENGTH, PaddleLiteEngine.TITLE, logits.length, classes);
        }
        return logits;
    }

    /** The first run is when a library finds out what it lacks. */
    private boolean runPredictor() {
        if (output != null) {
            return predictor.run();
        }
        marker.setAgain();
        try {
            return predictor.run();
        } finally {
            marker.clear();
        }
    }

    @Override
    public void close() {
        thread.close(() -> {
            if (predictor != null) {
                predictor.release();
            }
        });
    }
}
