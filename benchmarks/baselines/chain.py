"""A model's files, by the raw tools one after the other; prints the seconds of each.

    chain.py MODEL WEIGHTS FOLDER OPSET [PYTHON37]
    chain.py --made

Each file lies in a folder of its own, whose names --made prints. Without a CPython 3.7 that has
Paddle Lite its two files are left out.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

MADE = ("inference", "onnx", "openvino", "lite-x86", "lite-arm")
if sys.argv[1:] == ["--made"]:
    print(json.dumps(MADE))
    sys.exit()

model, weights, folder, opset, *python37 = sys.argv[1:]
tools = Path(sys.executable).parent
export = Path(__file__).with_name("export.py")
commands = {
    "export.py": [sys.executable, export, model, weights, "inference"],
    "paddle2onnx": [
        *(tools / "paddle2onnx", "--model_dir", "inference", "--save_file", "raw.onnx"),
        *("--model_filename", "inference.pdmodel", "--params_filename", "inference.pdiparams"),
        *("--opset_version", opset),
    ],
    "onnxsim": [tools / "onnxsim", "raw.onnx", "simplified.onnx"],
    "onnxslim": [tools / "onnxslim", "simplified.onnx", "onnx/model.onnx"],
    # Without the switch it stores the weights as float16.
    "ovc": [
        *(tools / "ovc", "onnx/model.onnx", "--output_model", "openvino/model.xml"),
        "--compress_to_fp16=False",
    ],
}
for python in python37:
    for hardware in ("x86", "arm"):
        commands[f"paddle_lite_opt {hardware}"] = [
            *(python, Path(python).with_name("paddle_lite_opt"), f"--valid_targets={hardware}"),
            "--model_file=inference/inference.pdmodel",
            "--param_file=inference/inference.pdiparams",
            f"--optimize_out=lite-{hardware}/model",
        ]

os.environ["POLYGRAPHY_AUTOINSTALL_DEPS"] = "0"  # Paddle2ONNX's helper would run pip
for name in MADE:
    (Path(folder) / name).mkdir()
seconds = {}
for name, command in commands.items():
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=sys.stderr, check=True)
    seconds[name] = time.perf_counter() - started
print(json.dumps(seconds))
