"""The lines of C++ in a package's README.md, compiled, and run on the golden photos.

It knows a runtime and a package's folder, in which it runs, alone; it writes the logits of the
golden photos to `logits.bin`. Its argument is the runtime.
"""

import ctypes
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

# The header that the compiler has to find, and what it has to be told.
HEADERS = {
    "ncnn": "ncnn/net.h",
    "mnn": "MNN/expr/Module.hpp",
    "openvino": "openvino/openvino.hpp",
}
_WORDS = {
    "ncnn": ["-lncnn", "-fopenmp"],
    "mnn": ["-D_GLIBCXX_USE_CXX11_ABI=0"],  # the wheel's own; it exports C++'s names
    "openvino": [],
}
_SOURCE = """
#include <memory>
#include <vector>
{includes}
extern "C" void run(const unsigned char* rgb, float* answer, int classes) {{
{lines}
    for (int i = 0; i < classes; ++i) answer[i] = logits[i];
}}
"""


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


def compiler(runtime: str) -> list[str]:
    """The compiler, with where a wheel keeps its headers."""
    words = ["g++", "-std=c++17", "-Wall"]
    if runtime == "openvino":
        words += ["-isystem", str(folder_of("openvino") / "include")]
    return words


def load_runtime(runtime: str) -> None:
    """Load the wheel's library, so that the lines find its names."""
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
    if runtime == "mnn":
        import _mnncengine  # noqa: F401
    if runtime == "openvino":
        [library] = (folder_of("openvino") / "libs").glob("libopenvino.so.*")
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def main() -> None:
    runtime = sys.argv[1]
    page = Path("README.md").read_text()
    [block] = re.findall(r"^```cpp\n(.*?)^```", page, re.M | re.S)
    includes = "\n".join(line for line in block.splitlines() if line.startswith("#include"))
    lines = "\n".join(line for line in block.splitlines() if not line.startswith("#include"))
    Path("lines.cpp").write_text(_SOURCE.format(includes=includes, lines=lines))
    words = ["-shared", "-fPIC", "-o", "lines.so", "lines.cpp", *_WORDS[runtime]]
    subprocess.run([*compiler(runtime), *words], check=True)
    load_runtime(runtime)
    library = ctypes.CDLL(str(Path("lines.so").resolve()))
    golden = json.loads(Path("golden/golden.json").read_text())
    classes = len(Path("labels.txt").read_text().splitlines())
    crops = np.fromfile("golden/crops.bin", np.uint8).reshape(golden["shape"])
    logits = np.empty((len(crops), classes), np.float32)
    for crop, row in zip(crops, logits, strict=True):
        library.run(
            crop.ctypes.data_as(ctypes.c_void_p), row.ctypes.data_as(ctypes.c_void_p), classes
        )
    logits.tofile("logits.bin")


if __name__ == "__main__":
    main()
