package ai.onnxruntime;

import java.util.Map;
import java.util.Set;

/** Shape only, to compile against where ONNX Runtime's own archive is not at hand; never shipped. */
public class OrtSession implements AutoCloseable {
    public native Set<String> getInputNames();

    public native Result run(Map<String, ? extends OnnxTensorLike> inputs) throws OrtException;

    @Override
    public native void close() throws OrtException;

    /** Shape only. */
    public static class SessionOptions implements AutoCloseable {
        public native void setIntraOpNumThreads(int threads) throws OrtException;

        public native void setInterOpNumThreads(int threads) throws OrtException;

        @Override
        public native void close();
    }

    /** Shape only. */
    public static class Result implements AutoCloseable {
        public native OnnxValue get(int index);

        @Override
        public native void close();
    }
}
