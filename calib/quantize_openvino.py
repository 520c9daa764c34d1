"""INT8 for OpenVINO: NNCF's own calibration, or the ranges of ours read out of a QDQ file."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from calib.placement import has_vnni
from calib.qdq import calibrated_on, eight_photos, layer_names
from calib.quant_config import NNCF, QuantConfig, check_layers
from calib.quantize_onnx import quantize_onnx
from common.errors import StepError
from convert import step_check
from convert.artifact import Artifact, Step, produce
from convert.to_onnx import FILE as ONNX_FILE
from convert.to_onnx import SESSION as ONNX_SESSION
from convert.to_openvino import GRAPH, KIND, SESSION, write_ir
from data.crops import Crops
from data.preprocess import Preprocess
from runtimes.environments import MAIN
from runtimes.worker import Worker

_LAYERS = ("Convolution", "GroupConvolution", "MatMul")
_LIMIT = 3600.0  # seconds: NNCF runs the network on every photo, and every layer again


def quantize_openvino(
    onnx: Artifact, ranges: Artifact, crops: Crops, quant: QuantConfig
) -> Artifact:
    """The INT8 form of OpenVINO's representation, `model.xml` and `model.bin`.

    With method "nncf" NNCF measures and corrects by itself, on the same photos; with any other
    the file is made of ONNX Runtime's INT8 file, whose pairs OpenVINO turns into its own.
    """
    ours = quant.method != NNCF
    quantized = quantize_onnx(onnx, ranges, crops, quant) if ours else None
    step = Step(
        name="quantize_openvino",
        build=onnx.build,
        kind=KIND.name,
        precision="int8",
        inputs={"onnx": (quantized or onnx).key, "photos": crops.sha256},
        parameters={"quant": asdict(quant), "vnni": has_vnni()},
        tools={name: MAIN.version(name) for name in ("openvino", "nncf")},
        code=(quantize_openvino,),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"quantize_openvino of {onnx.name}") as worker:
            if quantized:
                worker.call(
                    write_ir,
                    source=str(quantized.file(ONNX_FILE)),
                    output=str(folder / GRAPH),
                    fp16=False,
                )
            else:
                layers = worker.call(layer_names, source=str(onnx.file(ONNX_FILE)))
                check_layers(quant.keep_float, layers, onnx.model)
                worker.call(
                    write_with_nncf,
                    limit=_LIMIT,
                    source=str(onnx.file(ONNX_FILE)),
                    output=str(folder / GRAPH),
                    crops=crops.array,
                    preprocess=onnx.preprocess.to_json(),
                    keep_float=list(quant.keep_float),
                    vnni=has_vnni(),
                )
            photos = eight_photos(crops, onnx.preprocess)
            checked = step_check.verify_on(photos, worker, SESSION, folder, onnx, ONNX_SESSION)
        return {
            **onnx.inherited_facts,
            **checked,
            **asdict(quant),
            "calibration": calibrated_on(ranges),
        }

    return produce(step, make, shows=KIND.shown)


def write_with_nncf(
    source: str,
    output: str,
    crops: np.ndarray,
    preprocess: dict,
    keep_float: list[str],
    vnni: bool,
) -> None:
    """In a child process: quantize an ONNX file as OpenVINO reads it, and write.

    Without VNNI the CPU saturates where two products are added in 16 bits, so that weights get
    half of the range in every layer ("overflow fix"; NNCF's default is the first one only).
    """
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
    )

    model = openvino.convert_model(source)
    normalize = Preprocess.from_json(preprocess).normalize
    operators = {node.get_type_name() for node in model.get_ops()}
    quantized = nncf.quantize(
        model,
        nncf.Dataset(range(len(crops)), lambda row: normalize(crops[row : row + 1])),
        subset_size=len(crops),
        # NNCF's name for networks whose attention and normalization must stay in float.
        model_type=nncf.ModelType.TRANSFORMER if "Softmax" in operators else None,
        ignored_scope=nncf.IgnoredScope(names=_operators_of(model, keep_float)),
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.FIRST_LAYER if vnni else OverflowFix.ENABLE
        ),
    )
    openvino.save_model(quantized, output, compress_to_fp16=False)


def _operators_of(model, layers: list[str]) -> list[str]:
    """The operators that OpenVINO computes an ONNX file's layers with, biases apart.

    A layer with a bias becomes an addition of the layer's name behind "<name>/WithoutBiases".
    """
    names = [
        node.get_friendly_name() for node in model.get_ops() if node.get_type_name() in _LAYERS
    ]
    found = {
        layer: [name for name in names if name == layer or name.startswith(f"{layer}/")]
        for layer in layers
    }
    for layer, operators in found.items():
        if not operators:
            raise StepError(f"OpenVINO has no operator for layer '{layer}' that could stay float")
    return [name for operators in found.values() for name in operators]
