"""Paddle Inference on the CPU: the runtime that drift is measured against."""

import numpy as np
import paddle
from paddle import inference


class Session:
    """Runs `inference.pdmodel` / `inference.pdiparams` of a folder.

    With `onednn` the convolutions go through oneDNN (about seven times faster on SqueezeNet),
    without it through Paddle's own kernels, which makes the two an independent check. Without
    `optimize` every operator runs as it is written: a simulation lives in the operators.
    """

    def __init__(
        self,
        folder: str,
        precision: str,
        threads: int,
        onednn: bool = True,
        optimize: bool = True,
    ):
        config = inference.Config(f"{folder}/inference.pdmodel", f"{folder}/inference.pdiparams")
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(threads)
        if onednn:
            config.enable_mkldnn()
        else:
            config.disable_mkldnn()
        config.switch_ir_optim(optimize)
        config.disable_glog_info()
        self._predictor = inference.create_predictor(config)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])
        self._threads = threads
        self._onednn = onednn

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        self._input.reshape(batch.shape)
        self._input.copy_from_cpu(np.ascontiguousarray(batch))
        self._predictor.run()
        return self._output.copy_to_cpu()

    def environment(self) -> dict:
        return {
            "threads": self._threads,
            "kernels": "oneDNN" if self._onednn else "Paddle",
            "versions": {"paddlepaddle": paddle.__version__},
        }
