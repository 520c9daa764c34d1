package org.paddleportage.engine;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.Collections;
import java.util.Map;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** A model in ONNX Runtime. Apart from its engine, which must load without the library. */
final class OnnxRuntimeSession implements Session {
    private final int classes;
    private final OrtSession session;
    private final DirectInput input;
    private final OnnxTensor tensor;
    private final Map<String, OnnxTensor> inputs;
    private boolean closed;

    private OnnxRuntimeSession(OrtEnvironment environment, OrtSession session, ModelPackage pack)
            throws OrtException {
        this.session = session;
        classes = pack.classes();
        int side = pack.side();
        input = new DirectInput(side);
        tensor = OnnxTensor.createTensor(environment, input.floats, new long[] {1, 3, side, side});
        inputs = Collections.singletonMap(session.getInputNames().iterator().next(), tensor);
    }

    static String libraryVersion() {
        return OrtEnvironment.getEnvironment().getVersion();
    }

    static Session open(ModelPackage pack, int threads) throws PortageException {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            options.setInterOpNumThreads(1);
            OrtSession session =
                    environment.createSession(pack.modelFile().getPath(), options);
            return new OnnxRuntimeSession(environment, session, pack);
        } catch (OrtException error) {
            throw new PortageException(
                    Fault.NOT_OPENED,
                    OnnxRuntimeEngine.TITLE,
                    pack.modelFile().getName(),
                    error.getMessage());
        }
    }

    @Override
    public synchronized float[] run(float[] chw) throws PortageException {
        if (closed) {
            throw new PortageException(Fault.CLOSED);
        }
        input.put(chw, OnnxRuntimeEngine.TITLE);
        try (OrtSession.Result result = session.run(inputs)) {
            FloatBuffer found = ((OnnxTensor) result.get(0)).getFloatBuffer(); // a copy
            if (found.remaining() != classes) {
                throw new PortageException(
                        Fault.OUTPUT_LENGTH,
                        OnnxRuntimeEngine.TITLE,
                        found.remaining(),
                        classes);
            }
            float[] logits = new float[classes];
            found.get(logits);
            return logits;
        } catch (OrtException error) {
            throw new PortageException(
                    Fault.RUN_FAILED, OnnxRuntimeEngine.TITLE, error.getMessage());
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        tensor.close();
        try {
            session.close();
        } catch (OrtException closing) {
            // Nothing is left that could be done with it.
        }
    }
}
