package ai.onnxruntime;

import java.nio.FloatBuffer;

/** Shape only, to compile against where ONNX Runtime's own archive is not at hand; never shipped. */
public class OnnxTensor extends OnnxTensorLike {
    public static native OnnxTensor createTensor(
            OrtEnvironment environment, FloatBuffer values, long[] shape) throws OrtException;

    public native FloatBuffer getFloatBuffer();

    @Override
    public native void close();
}
