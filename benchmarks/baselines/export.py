"""Write the inference graph of a network with its weights: `export.py MODEL WEIGHTS FOLDER`.

The network comes from this project's table, as it would from PaddleClas.
"""

import os
import sys
from pathlib import Path

# The graph format that Paddle Lite reads.
os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import paddle

from models.registry import MODELS

model, weights, folder = sys.argv[1:]
spec = MODELS[model]
network = spec.build()
network.set_state_dict(paddle.load(weights))
batch = paddle.static.InputSpec([None, *spec.input_shape], "float32", "x")
paddle.jit.save(paddle.jit.to_static(network, [batch]), f"{folder}/inference")
