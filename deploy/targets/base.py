"""What a target is: how its file is made, and how it runs on this machine."""

import abc
from dataclasses import dataclass

from calib.fake_quant import Grid
from calib.photos import Calibration
from calib.quant_config import METHODS, QuantConfig
from common.errors import UserError
from convert.artifact import Artifact
from convert.to_onnx import to_onnx
from data.crops import Crops
from runtimes.session_pool import SessionSpec


@dataclass(frozen=True)
class Options:
    """What the user may choose for the files of every target.

    For INT8 also the photos to calibrate on, and how their ranges are used (None: as an earlier
    calibration of the model for the target found best, else the default).
    """

    opset: int
    calibration: Calibration | None = None
    quant: QuantConfig | None = None

    def measured(self, inference: Artifact) -> tuple[Artifact, Artifact, Crops, QuantConfig]:
        """What all INT8 files start from: ONNX file, ranges, photos, and how to use them."""
        if self.calibration is None:
            raise UserError("int8 needs photos to calibrate on: CALIB=folder")
        onnx = to_onnx(inference, self.opset)
        return onnx, *self.calibration.measure(onnx), self.quant or QuantConfig()


class Target(abc.ABC):
    """One row of the table of targets; a subclass a file.

    `published_gpu` is the GPU whose published latencies it is held against ("T4"), if any.
    `on_request` are precisions that are made only for who names them, with the `warning`;
    `methods` are the ways to calibrate INT8, the cheapest first.
    """

    name: str
    summary: str
    precisions: tuple[str, ...]
    steps: tuple[str, ...]
    hardware: str
    published_gpu: str | None = None
    on_request: tuple[str, ...] = ()
    warning: str = ""
    methods: tuple[str, ...] = METHODS

    @abc.abstractmethod
    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """Make (or find) the file that is deployed on this target."""

    @abc.abstractmethod
    def session_spec(self, precision: str) -> SessionSpec:
        """How this precision runs on this machine."""

    def timed_session_spec(self, precision: str) -> SessionSpec:
        """How it runs to be timed: the same, unless `session_spec` is for checking only."""
        return self.session_spec(precision)

    def grid(self) -> Grid:
        """The integers of its INT8."""
        return Grid(symmetric=True, weight_limit=127)

    def problem(self) -> str | None:
        """Why its files cannot even be built here, with the command that would mend it."""
        return None

    def build_report(self, artifact: Artifact) -> str:
        """What making the file has shown of a target that does not run here; "" for nothing."""
        return ""

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        """The artifact to run in place of `artifact` where the session is a simulation."""
        return artifact
