package ai.onnxruntime;

/** Shape only, to compile against where ONNX Runtime's own archive is not at hand; never shipped. */
public class OrtException extends Exception {}
