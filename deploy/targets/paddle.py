"""Paddle Inference on this CPU: the reference, and itself a target."""

from convert.artifact import Artifact
from convert.export import KIND, SESSION
from deploy.targets.base import Options, Serving, Target, Tool
from runtimes.session_pool import NATIVE, SessionSpec

# Paddle's own kernels are about seven times slower than oneDNN's. That the two agree shows on a few
# photos as well as on many, since it is a question of arithmetic and not of statistics.
_ENOUGH = 64

# What every target's drift is measured against.
REFERENCE = SessionSpec(NATIVE, SESSION, options={"onednn": True})


class Paddle(Target):
    """The graph in Paddle's own kernels, held against the same graph in oneDNN's."""

    name = "paddle"
    summary = "Paddle Inference with its own kernels (the reference uses oneDNN's)"
    runs_on = (
        "Paddle Inference on this CPU, its own kernels; the reference is the same graph with "
        "oneDNN's"
    )
    precisions = ("fp32",)
    kinds = (KIND,)
    tools = (Tool("paddlepaddle"),)

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        return inference

    def session_spec(self, precision: str) -> SessionSpec:
        return SessionSpec(NATIVE, SESSION, options={"onednn": False}, photos=_ENOUGH)

    def timed_session_spec(self, precision: str) -> SessionSpec:
        return REFERENCE

    def served_session_spec(self, precision: str) -> SessionSpec:
        return REFERENCE

    def serving(self, precision: str) -> Serving:
        return Serving(None, in_server=False)
