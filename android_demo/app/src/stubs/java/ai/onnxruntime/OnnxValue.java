package ai.onnxruntime;

/** Shape only, to compile against where ONNX Runtime's own archive is not at hand; never shipped. */
public interface OnnxValue extends AutoCloseable {
    @Override
    void close();
}
