"""A result without a run, for tests of what is done with results."""

from typing import Any

from deploy.verdict.drift import interval_fields
from deploy.verdict.result import (
    SCHEMA,
    Accuracy,
    Budget,
    Data,
    Drift,
    Environment,
    Host,
    Reference,
    Result,
)


def a_drift(gained: int = 0, lost: int = 0, images: int = 400, **changes: Any) -> Drift:
    """What these counts amount to; every other number is small."""
    values = {
        "top1_pp": 100 * (gained - lost) / images,
        **interval_fields(gained, lost, images),
        "agreement": 1 - (gained + lost) / images,
        "gained": gained,
        "lost": lost,
        "flips_beyond_tie": 0,
        "max_abs": 0.01,
        "max_rel": 1e-4,
        "non_finite": 0,
        "non_finite_photos": 0,
    }
    return Drift(**values | changes)


def a_result(**changes: Any) -> Result:
    """A pass of the numeric gate on the onnx target."""
    values = {
        "schema": SCHEMA,
        "toolkit": "0.1.0",
        "model": "SqueezeNet1_1",
        "name": "SqueezeNet1_1",
        "target": "onnx",
        "precision": "fp32",
        "weights": "demo",
        "host": Host(name="local", isa=("avx2",)),
        "execution": "native",
        "data": Data(name="demo", images=400, sha256="a" * 64),
        "verdict": "pass",
        "reason": "no difference",
        "reference": Reference(runtime="paddle", top1=0.6, top5=0.8),
        "measured": Accuracy(top1=0.6, top5=0.8),
        "drift": a_drift(),
        "budget": Budget(kind="numeric", limit="none"),
        "environment": Environment(cpu="a CPU", threads=2, versions={"onnxruntime": "1.0"}),
    }
    return Result(**values | changes)
