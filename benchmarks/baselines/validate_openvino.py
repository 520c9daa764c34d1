"""Top-1 of `model.xml` in a folder, with OpenVINO."""

import openvino
import photos

options = photos.arguments("folder")
# On CPUs with AMX the default is bf16, which decides otherwise on about one photo in a hundred.
compiled = openvino.Core().compile_model(
    f"{options.folder}/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
)
photos.validate(lambda batch: compiled(batch)[0], options)
