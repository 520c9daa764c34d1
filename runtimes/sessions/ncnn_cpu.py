"""ncnn on the CPU."""

from pathlib import Path

import ncnn
import numpy as np

# Some are on by default, whatever the file holds.
_FP16 = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")
_BF16 = ("use_bf16_packed", "use_bf16_storage")
_HEADER = 2  # lines of a `.param` before its layers


class Session:
    """Runs `model.param` and `model.bin` of a folder, one image at a time.

    For fp16 with the options that are ncnn's default: it computes in float16 on ARM CPUs that have
    it, and on all others, as without these options, in float32.
    """

    def __init__(self, folder: str, precision: str, threads: int):
        graph, weights = f"{folder}/model.param", f"{folder}/model.bin"
        self._threads = threads
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        fp16 = precision == "fp16"
        for option in (*_FP16, *_BF16):
            setattr(self._net.opt, option, fp16 and option in _FP16)
        half = fp16 and ncnn.cpu_support_arm_asimdhp()
        self._arithmetic = "fp16" if half else {"int8": "int8, fp32"}.get(precision, "fp32")
        _check_layers(Path(graph))
        if self._net.load_param(graph):
            raise ValueError("ncnn does not load model.param")
        if self._net.load_model(weights):
            raise ValueError("ncnn does not load model.bin")

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits float32 [N, classes] of a batch float32 [N, 3, S, S]."""
        return np.stack([self._run_one(image) for image in batch])

    def environment(self) -> dict:
        return {
            "threads": self._threads,
            "arithmetic": self._arithmetic,
            "versions": {"ncnn": ncnn.__version__},
        }

    def _run_one(self, image: np.ndarray) -> np.ndarray:
        extractor = self._net.create_extractor()
        # A copy: a first layer that works in place crashes on a view of NumPy's memory.
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)).clone())
        failed, logits = extractor.extract("out0")
        if failed:
            raise ValueError("ncnn loads the file, and does not run it")
        return np.array(logits)


def _check_layers(graph: Path) -> None:
    """ValueError with the first layer that ncnn has not: it says so to its standard error only."""
    for line in graph.read_text().splitlines()[_HEADER:]:
        kind, name, *_ = line.split()
        if ncnn.layer_to_index(kind) < 0:
            raise ValueError(f"ncnn has no layer {kind}, which '{name}' in model.param is")
