"""How ranges become an INT8 file: the choices that a user, or the search for a budget, makes."""

from dataclasses import dataclass, field

from common.errors import UserError, suggest

# Those of `calib.methods`, and the one that chooses among them for each tensor.
LOGITS = "logits"
METHODS = (LOGITS, "minmax", "percentile", "mse", "entropy")
NNCF = "nncf"  # its own statistics and bias correction, for target openvino only
DEFAULT_METHOD = LOGITS


def worth_trying(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a target's methods that a search tries: where there is LOGITS, none of those that it
    chooses among."""
    return tuple(one for one in methods if LOGITS not in methods or one in (LOGITS, NNCF))


@dataclass(frozen=True)
class QuantConfig:
    """The method that turns a histogram into a range, and the layers that stay in float.

    Layers are named as in the model's ONNX file ("Conv.3").
    """

    method: str = DEFAULT_METHOD
    keep_float: tuple[str, ...] = field(default=())

    def __post_init__(self):
        known = (*METHODS, NNCF)
        if self.method not in known:
            raise UserError(
                f"unknown calibration method '{self.method}': {suggest(self.method, known)}"
            )


def check_layers(keep_float: tuple[str, ...], layers: list[str], model: str) -> None:
    """Raise UserError where a layer to keep in float is none of the model's quantized layers."""
    for name in keep_float:
        if name not in layers:
            raise UserError(
                f"{model} has no layer '{name}' that could stay in float: {suggest(name, layers)}"
            )
