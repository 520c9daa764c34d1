"""A network of a few nodes, as an ONNX artifact, for tests of what comes after ONNX."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from convert import step_check
from convert.artifact import Artifact
from convert.to_onnx import FILE
from data.preprocess import Preprocess

SHAPE = (3, 32, 32)
WEIGHTS = {
    "kernel": (8, 3, 3, 3),
    "grouped": (8, 4, 3, 3),
    "w": (8, 5),
    "matrix": (8, 6),
    "bias": (6,),
    "scores": (4, 4, 1, 1),
    "gain": (8,),
    "shift": (8,),
    "qkv": (8, 24),
    "around": (8, 1, 3, 3),
    "sqrt2": (1,),
    "one": (1,),
}
SIZES = {
    "windows": [-1, 4, 2, 5, 6, 30],
    "back": [-1, 30, 30, 8],
    "heads": [-1, 100, 6, 4],
    "tokens": [-1, 10, 10, 8],
    "halves": [4, 4],
    "thirds": [2, 2, 2],
}

# A node: operator, inputs, outputs, and its attributes if it has any.
CONV = ("Conv", ["x", "kernel"], ["a"], {"kernel_shape": [3, 3]})
RELU = ("Relu", ["a"], ["b"])
POOL = ("GlobalAveragePool", ["b"], ["c"])
FLATTEN = ("Flatten", ["c"], ["logits"])
CONVOLUTIONAL = (CONV, RELU, POOL, FLATTEN)
GROUPED = (CONV, ("Conv", ["a", "grouped"], ["b"], {"group": 2}), POOL, FLATTEN)
FULLY_CONNECTED = (CONV, RELU, POOL, ("Flatten", ["c"], ["d"]), ("Gemm", ["d", "w"], ["logits"]))
CLASSIFIER = (*FULLY_CONNECTED[:-1], ("Gemm", ["d", "matrix", "bias"], ["logits"]))
WINDOWED = (
    CONV,
    ("Reshape", ["a", "windows"], ["b"]),
    ("Transpose", ["b"], ["c"], {"perm": [0, 2, 4, 1, 3, 5]}),
    ("Reshape", ["c", "back"], ["d"]),
    ("MatMul", ["d", "matrix"], ["e"]),
    ("Add", ["e", "bias"], ["f"]),
    ("Transpose", ["f"], ["g"], {"perm": [0, 3, 1, 2]}),
    ("GlobalAveragePool", ["g"], ["h"]),
    ("Flatten", ["h"], ["logits"]),
)
# What a ResNeSt and a Twins (a block of Twins-PCPVT) have that no other network has.
SPLIT_ATTENTION = (
    CONV,
    ("Split", ["a", "halves"], ["s", "t"], {"axis": 1}),
    ("Add", ["s", "t"], ["both"]),
    ("Sub", ["s", "t"], ["apart"]),
    ("GlobalAveragePool", ["both"], ["mean"]),
    ("Conv", ["mean", "scores"], ["score"], {"kernel_shape": [1, 1]}),
    ("Sigmoid", ["score"], ["gate"]),
    ("Mul", ["apart", "gate"], ["share"]),
    ("Add", ["share", "t"], ["b"]),
    POOL,
    FLATTEN,
)
TRANSFORMER = (
    (*CONV[:3], {"kernel_shape": [3, 3], "strides": [3, 3]}),
    ("Transpose", ["a"], ["tokens_in"], {"perm": [0, 2, 3, 1]}),
    ("LayerNormalization", ["tokens_in", "gain", "shift"], ["normed"], {"axis": 3}),
    ("MatMul", ["normed", "qkv"], ["flat"]),
    ("Reshape", ["flat", "heads"], ["by_token"]),
    ("Transpose", ["by_token"], ["by_head"], {"perm": [0, 2, 1, 3]}),
    ("Split", ["by_head", "thirds"], ["q", "k", "v"], {"axis": 1}),
    ("Transpose", ["k"], ["kt"], {"perm": [0, 1, 3, 2]}),
    ("MatMul", ["q", "kt"], ["score"]),
    ("Softmax", ["score"], ["share"], {"axis": -1}),
    ("MatMul", ["share", "v"], ["seen"]),
    ("Transpose", ["seen"], ["seen_by_token"], {"perm": [0, 2, 1, 3]}),
    ("Reshape", ["seen_by_token", "tokens"], ["attended"]),
    ("Add", ["attended", "tokens_in"], ["b"]),
    ("Div", ["b", "sqrt2"], ["scaled"]),  # GELU, as it is exported
    ("Erf", ["scaled"], ["erf"]),
    ("Add", ["erf", "one"], ["gate"]),
    ("Mul", ["b", "gate"], ["c"]),
    ("Transpose", ["c"], ["map"], {"perm": [0, 3, 1, 2]}),
    (*("Conv", ["map", "around"], ["conv"]), {"group": 8, "kernel_shape": [3, 3], "pads": [1] * 4}),
    ("Add", ["map", "conv"], ["d"]),
    ("Transpose", ["d"], ["e"], {"perm": [0, 2, 3, 1]}),
    ("ReduceMean", ["e"], ["f"], {"axes": [1, 2], "keepdims": 0}),
    ("MatMul", ["f", "matrix"], ["g"]),
    ("Add", ["g", "bias"], ["logits"]),
)
FAMILIES = (CONVOLUTIONAL, GROUPED, CLASSIFIER, WINDOWED, SPLIT_ATTENTION, TRANSFORMER)


def make(folder: Path, nodes, *, opset=17, valid=True, scale=1.0) -> Artifact:
    """The artifact of a network; nodes are called after their operator and place ("Conv.0").

    One that is not `valid` cannot be run, and so has no logits to compare with.
    """
    random = np.random.default_rng(1)
    used = {name for _, inputs, *_ in nodes for name in inputs}
    weights = {
        name: scale * random.standard_normal(shape, np.float32)
        for name, shape in WEIGHTS.items()
        if name in used
    }
    graph = helper.make_graph(
        [
            helper.make_node(*node[:3], f"{node[0]}.{place}", **dict(*node[3:]))
            for place, node in enumerate(nodes)
        ],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
        + [
            numpy_helper.from_array(np.array(value), name)
            for name, value in SIZES.items()
            if name in used
        ],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    folder.mkdir(exist_ok=True)
    if valid:
        model = onnx.shape_inference.infer_shapes(model)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        np.save(
            folder / step_check.FILE, session.run(["logits"], {"x": step_check.images(SHAPE)})[0]
        )
    onnx.save(model, folder / FILE)
    inherited_facts = {
        **{"weights": "random", "class_num": 8, "input_shape": SHAPE},
        "preprocess": Preprocess().to_json(),
    }
    key = f"{[node[0] for node in nodes]} {opset} {scale}"
    return Artifact(folder, {"model": "Toy", "key": key, "facts": inherited_facts})
