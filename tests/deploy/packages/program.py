"""A program of a user's own: it knows a runtime and a package's folder, in which it runs, alone.

What README.md sets there it sets, and it writes the logits of the golden photos to `logits.bin`.
Its argument is the runtime.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np


def page() -> str:
    return Path("README.md").read_text()


def said(pattern: str) -> str:
    return re.search(pattern, page())[1]


def floats(name: str) -> np.ndarray:
    values = said(rf"float {name}\[3\] = {{(.*)}};").split(", ")
    return np.array([value.removesuffix("f") for value in values], np.float32)


def by_ncnn(image: np.ndarray) -> np.ndarray:
    import ncnn

    net = ncnn.Net()
    for option, value in re.findall(r"net\.opt\.(\w+) = (\w+);", page()):
        setattr(net.opt, option, json.loads(value))
    assert not net.load_param(said(r'load_param\("(.*?)"'))
    assert not net.load_model(said(r'load_model\("(.*?)"'))
    extractor = net.create_extractor()
    extractor.input(said(r'input\("(.*?)"'), ncnn.Mat(image).clone())
    failed, logits = extractor.extract(said(r'extract\("(.*?)"'))
    assert not failed
    return np.array(logits)


def by_mnn(image: np.ndarray) -> np.ndarray:
    import MNN

    precision = said(r"BackendConfig::Precision_(\w+);").lower()
    threads = int(said(r"numThread = (\d+);"))
    settings = {"backend": "CPU", "precision": precision, "numThread": threads}
    runtime = MNN.nn.create_runtime_manager((settings,))
    runtime.set_hint(3, int(said(r"WINOGRAD_MEMORY_LEVEL, (\d)")))
    names = re.search(r'load\({"(\w+)"}, {"(\w+)"}, "(.*?)", runtime', page())
    net = MNN.nn.load_module_from_file(names[3], [names[1]], [names[2]], runtime_manager=runtime)
    entry = MNN.expr.const(image[None].copy(), [1, *image.shape], MNN.expr.NCHW)
    return np.array(net.forward([entry])[0].read())[0]


def by_openvino(image: np.ndarray) -> np.ndarray:
    import openvino
    from openvino import properties

    core = openvino.Core()
    model = core.read_model(said(r'read_model\("(.*?)"'))
    model.reshape([1, *map(int, said(r"PartialShape{1, (3, \d+, \d+)}").split(", "))])
    settings = {
        properties.hint.inference_precision: getattr(openvino.Type, said(r"ov::element::(\w+)\)")),
        properties.inference_num_threads: int(said(r"inference_num_threads\((\d+)\)")),
    }
    compiled = core.compile_model(model, said(r'model, "(\w+)"'), settings)
    return compiled(image[None])[0][0].copy()


def main() -> None:
    run = {"ncnn": by_ncnn, "mnn": by_mnn, "openvino": by_openvino}[sys.argv[1]]
    golden = json.loads(Path("golden/golden.json").read_text())
    crops = np.fromfile("golden/crops.bin", np.uint8).reshape(golden["shape"])
    images = ((crops - floats("mean")) * floats("scale")).transpose(0, 3, 1, 2)
    logits = [run(np.ascontiguousarray(image, np.float32)) for image in images]
    np.array(logits, "<f4").tofile("logits.bin")


if __name__ == "__main__":
    main()
