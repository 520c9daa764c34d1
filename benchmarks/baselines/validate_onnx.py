"""Top-1 of `model.onnx` in a folder, with ONNX Runtime."""

import onnxruntime
import photos

options = photos.arguments("folder")
session = onnxruntime.InferenceSession(f"{options.folder}/model.onnx")
photos.validate(lambda batch: session.run(None, {"x": batch})[0], options)
