package ai.onnxruntime;

/** Shape only, to compile against where ONNX Runtime's own archive is not at hand; never shipped. */
public final class OrtEnvironment {
    public static native OrtEnvironment getEnvironment();

    public native String getVersion();

    public native OrtSession createSession(String path, OrtSession.SessionOptions options)
            throws OrtException;
}
