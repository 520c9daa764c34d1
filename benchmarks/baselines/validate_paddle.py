"""Top-1 of `inference.pdmodel` in a folder, with Paddle Inference."""

import photos
from paddle import inference

options = photos.arguments("folder")
config = inference.Config(
    f"{options.folder}/inference.pdmodel", f"{options.folder}/inference.pdiparams"
)
predictor = inference.create_predictor(config)
entry = predictor.get_input_handle(predictor.get_input_names()[0])
result = predictor.get_output_handle(predictor.get_output_names()[0])


def infer(batch):
    entry.copy_from_cpu(batch)
    predictor.run()
    return result.copy_to_cpu()


photos.validate(infer, options)
