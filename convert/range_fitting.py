"""Range fitting: the same function with smaller activations, for FP16 arithmetic that overflows.

Convolutions, sums, ReLU and pooling are positively homogeneous: where everything that is added
shrinks by 2⁻ᵏ with the first layer's weights, so does every activation, until the last layer's
weights give the factor back. A power of two changes no digit of a float32, so that the logits stay
the same to the last bit. Softmax, sigmoid, GELU and layer norms end such a stretch.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import console, files
from common.errors import StepError
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.builds import GRAPH, PARAMETERS
from convert.export import SESSION
from convert.kind import Kind
from runtimes.environments import MAIN
from runtimes.worker import Worker

EXPONENTS = "exponents.json"


@dataclass(frozen=True)
class Kernels:
    """What has to stay within float16: the values that are stored between layers, and, where sums
    and Winograd's transforms are `narrow` too, those inside of layers. `name` is for people."""

    kind: Kind
    narrow: bool
    name: str


ARM = Kernels(Kind("fitted", (GRAPH, PARAMETERS), shown=EXPONENTS), True, "FP16 kernels on ARM")
# Sums are float32: of ONNX Runtime, and of TensorRT.
FP32_SUMS = Kernels(
    Kind("fitted-values", (GRAPH, PARAMETERS), shown=EXPONENTS), False, "values stored in FP16"
)

FP16_LIMIT = 65504.0  # float16's largest value

# The share of it that the kernels' intermediate values may reach on the images at hand: two
# binary digits are left for images with larger activations.
SHARE = 0.25
_LIMIT = SHARE * FP16_LIMIT
_SUMMED = 2  # images on which the sums inside of layers are computed, which takes seconds each


def fit_ranges(
    inference: Artifact, sizes: Mapping[str, float] | None = None, kernels: Kernels = ARM
) -> Artifact:
    """The inference graph whose activations FP16 kernels can hold; itself where it needs no change.

    Activations are looked at on the synthetic images; `sizes` are the magnitudes that photos have
    shown, by the ONNX file's tensors. The facts have the exponent of each stretch. StepError where
    the logits change by a single bit.
    """
    step = Step(
        name="fit_ranges",
        build=inference.build,
        kind=kernels.kind.name,
        precision="fp16",
        inputs={"inference": inference.key},
        parameters={"sizes": dict(sizes or {}), "share": SHARE, "narrow": kernels.narrow},
        tools={"paddlepaddle": MAIN.version("paddlepaddle")},
        code=(fit_ranges,),
    )
    label = f"fit_ranges of {inference.name}"

    def make(folder: Path) -> dict:
        with Worker("main", label) as worker:
            facts = worker.call(
                write_fitted,
                source=str(inference.folder),
                output=str(folder),
                images=step_check.images(tuple(inference.facts["input_shape"])),
                sizes=dict(sizes or {}),
                narrow=kernels.narrow,
            )
            _report(inference.name, facts, kernels.name)
            files.write_json(folder / EXPONENTS, facts["exponents"])
            if not facts["exponents"]:
                return {**inference.inherited_facts, **facts}
            checked = step_check.verify(worker, SESSION, folder, inference)
        before, after = (np.load(one / step_check.FILE) for one in (inference.folder, folder))
        if not np.array_equal(before, after):
            raise StepError(f"{label}: the logits are not the same to the last bit")
        return {**inference.inherited_facts, **facts, **checked}

    fitted = produce(step, make, shows=EXPONENTS)
    return fitted if fitted.facts["exponents"] else inference


def _report(name: str, facts: Mapping[str, Any], who: str) -> None:
    """Say what the kernels would have met, and what they still will."""
    for tensor, stretch in facts["exponents"].items():
        if stretch["without"] > FP16_LIMIT:
            console.say(
                f"  {name}: at {tensor} {who} may reach {stretch['without']:.6g}, "
                f"more than {FP16_LIMIT:g}: {stretch['tensors']} tensors are divided by "
                f"2^{stretch['exponent']}, and the logits stay"
            )
    for size, where in (
        (facts["largest_fixed"], f"{who} may reach {{:.6g}} where nothing can be divided"),
        (facts["largest_weight"], "a weight is {:.6g}"),
    ):
        if size > FP16_LIMIT:
            console.say(
                f"  warning: {name}: {where.format(size)}, more than {FP16_LIMIT:g}: expect "
                "infinite logits in FP16"
            )


def write_fitted(
    source: str, output: str, images: np.ndarray, sizes: Mapping[str, float], narrow: bool
) -> dict:
    """In a child process: choose the exponents, and write the graph where there are any.

    `images` are float32 [n, 3, S, S]. The facts: the exponent of each stretch that has one, by the
    tensor that needs it most; and the largest value of all, of those that no exponent can make
    smaller, and of the weights that are written.
    """
    import paddle

    from convert.stretches import Stretches

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, fetched = paddle.static.load_inference_model(f"{source}/inference", executor)
    stretches = Stretches(program)
    sizes = _by_tensor(program, sizes)
    demands = _demands(executor, program, feeds[0], images, stretches, sizes, narrow)
    exponents, worst = {}, {}
    for tensors in stretches:
        name = max(tensors, key=lambda one: demands.get(one, 0.0))
        needed = math.ceil(math.log2(max(demands.get(name, 0.0) / _LIMIT, 1.0)))
        if needed:
            exponents[stretches.root(name)] = needed
            worst[name] = {"exponent": needed, "without": demands[name], "tensors": len(tensors)}
    if exponents:
        scale(stretches, exponents)
        entry = [program.global_block().var(name) for name in feeds]
        paddle.static.save_inference_model(
            f"{output}/inference", entry, fetched, executor, program=program
        )
    fixed = {name: size for name, size in demands.items() if stretches.is_fixed(name)}
    ends = ("feed", "fetch")
    weights = [one.name for one in program.list_vars() if one.persistable and one.name not in ends]
    return {
        "exponents": worst,
        "largest": max(demands.values()),
        "largest_fixed": max(fixed.values(), default=0.0),
        "largest_weight": max(float(np.abs(_parameter(name)).max()) for name in weights),
    }


def _by_tensor(program, sizes: Mapping[str, float]) -> dict[str, float]:
    """The sizes of an ONNX file's tensors by the program's, where the names tell which is which.

    Paddle2ONNX counts the operators of each type: "p2o.pd_op.relu.3.0" is what the fourth gives. A
    convolution's result is left out: in the ONNX file it has its bias, or the batch norm, in it.
    """
    from convert.stretches import results

    made: dict[str, list[list[str]]] = {}
    for operator in program.global_block().ops:
        kind = re.sub(r"(2|_v2)$", "", operator.type)
        made.setdefault(kind, []).append(results(operator)[:1])
    found: dict[str, float] = {}
    for name, size in sizes.items():
        match = re.fullmatch(r"p2o\.pd_op\.(\w+)\.(\d+)\.0", name)
        kind = re.sub(r"2$", "", match[1]) if match else ""
        if match and kind != "conv2d" and int(match[2]) < len(made.get(kind, [])):
            found |= dict.fromkeys(made[kind][int(match[2])], size)
    return found


def scale(stretches, exponents: Mapping[str, int]) -> None:
    """Divide each stretch's tensors by 2 to the power of its exponent, by its root's name.

    The parameters in the global scope change: what is added in a stretch, and the weights of the
    layers that lead into it or out of it.
    """
    for layer in stretches.layers:
        before, after = (
            exponents.get(stretches.root(one), 0) for one in (layer.source, layer.result)
        )
        _multiply(layer.weights, before - after)
    for parameter, tensor in stretches.shifts.items():
        _multiply(parameter, -exponents.get(stretches.root(tensor), 0))


def _multiply(parameter: str, exponent: int) -> None:
    import paddle

    if exponent:
        tensor = paddle.static.global_scope().find_var(parameter).get_tensor()
        tensor.set(np.ldexp(np.array(tensor), exponent), paddle.CPUPlace())


def _demands(
    executor,
    program,
    entry: str,
    images: np.ndarray,
    stretches,
    sizes: Mapping[str, float],
    narrow: bool,
) -> dict[str, float]:
    """For tensors of the program, the largest value that kernels meet in computing or reading it.

    That is its own magnitude; and for kernels that are `narrow` inside, where it is averaged, the
    sum, and where Winograd's transforms are used, the most that they can make of it, and the
    largest sum that they need for it.
    """
    from convert.stretches import results

    block = program.global_block()
    operators = [one for one in block.ops if one.type not in ("feed", "fetch")]
    readers: dict[str, list] = {}
    for operator in operators:
        for name in operator.input_arg_names:
            readers.setdefault(name, []).append(operator)
    # What only a batch norm reads is never there: it is folded into the layer before.
    folded = {
        name for name, some in readers.items() if [one.type for one in some] == ["batch_norm"]
    }
    known = {name for operator in operators for name in results(operator)}
    names = [name for name in (entry, *known) if name in stretches.tensors]
    averages = [
        one
        for one in operators
        if narrow and one.type == "pool2d" and one.attr("pooling_type") == "avg"
    ]
    transforms = _transforms(stretches, block, readers) if narrow else []
    demands: dict[str, float] = {}

    def demand(name: str, value: float) -> None:
        demands[name] = max(demands.get(name, 0.0), float(value))

    for number, image in enumerate(images):
        run = executor.run(
            program, feed={entry: image[None]}, fetch_list=[block.var(name) for name in names]
        )
        values = dict(zip(names, run, strict=True))
        magnitudes = {name: float(np.abs(value).max()) for name, value in values.items()}
        growth = {
            name: max(1.0, sizes.get(name, 0.0) / (size or 1.0))
            for name, size in magnitudes.items()
        }
        for name, size in magnitudes.items():
            if name not in folded:
                demand(name, size * growth[name])
        for operator in averages:
            source, result = operator.input("X")[0], operator.output("Out")[0]
            area = values[source][0, 0].size / values[result][0, 0].size
            demand(source, magnitudes[result] * area * growth[source])
        for layer in transforms:
            source, result = values[layer.source][0], values[layer.result][0]
            largest = float(np.abs(source).max())
            demand(layer.source, layer.input_gain * largest * growth[layer.source])
            sums = layer.sum_bound * largest
            if sums * growth[layer.source] > _LIMIT:  # far from what images reach: look
                looked = number < _SUMMED
                sums = layer.largest_sum(source, result.shape[1:]) if looked else 0.0
            demand(layer.result, sums * growth[layer.source])
    return demands


class _Transform:
    """A layer that Paddle Lite computes by Winograd's transforms."""

    def __init__(self, layer, side: int, readers):
        from convert import arm_fp16

        self.source, self.result = layer.source, layer.result
        self._pads = layer.operator.attr("paddings")
        self._side = side
        weights = _parameter(layer.weights)
        norm = readers[layer.result][0]
        if norm.type == "batch_norm":  # folded, its factor is in the weights
            spread = np.sqrt(_parameter(norm.input("Variance")[0]) + norm.attr("epsilon"))
            weights = weights * (_parameter(norm.input("Scale")[0]) / spread)[:, None, None, None]
        self._kernels = arm_fp16.transformed_weights(weights, side)
        self.input_gain = arm_fp16.INPUT_GAIN[side]
        self.sum_bound = arm_fp16.sum_bound(self._kernels, side)

    def largest_sum(self, image: np.ndarray, spans: tuple[int, int]) -> float:
        """The largest sum of products for an image, float32 [C, H, W]."""
        from convert import arm_fp16

        top, left = self._pads[0], self._pads[-1]
        padded = np.pad(image, ((0, 0), (top, top), (left, left)))
        return float(np.abs(arm_fp16.winograd_sums(padded, self._kernels, self._side, spans)).max())


def _transforms(stretches, block, readers) -> list[_Transform]:
    """The layers with Winograd's transforms, where something about them can be scaled."""
    from convert import arm_fp16

    found = []
    for layer in stretches.layers:
        operator = layer.operator
        if operator.type == "conv2d" and not (
            stretches.is_fixed(layer.source) and stretches.is_fixed(layer.result)
        ):
            side = arm_fp16.tile(
                block.var(layer.weights).shape,
                operator.attr("groups"),
                operator.attr("strides"),
                operator.attr("dilations"),
                block.var(layer.result).shape[2:],
            )
            if side:
                found.append(_Transform(layer, side, readers))
    return found


def _parameter(name: str) -> np.ndarray:
    import paddle

    return np.array(paddle.static.global_scope().find_var(name).get_tensor())
