"""What a target is: all of its facts, how its file is made, and how it runs on this machine."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.fake_quant import Grid
from calib.kept import Kept
from calib.overflow import photo_sizes
from calib.photos import Calibration
from calib.placement import Placement, placement_of
from calib.quant_config import METHODS, QuantConfig
from common.errors import UserError
from convert.artifact import Artifact, load
from convert.kind import Kind
from convert.range_fitting import ARM, Kernels, fit_ranges
from convert.to_onnx import to_onnx
from data.crops import Crops
from deploy.speed.peers import Peer
from runtimes.environments import MAIN, Environment
from runtimes.hosts.arm import Arm
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL, Local
from runtimes.hosts.ssh import Ssh
from runtimes.nvidia import Gpu
from runtimes.session_pool import EMULATED, NATIVE, SessionSpec
from runtimes.tensorrt_library import Library

# Those that run what has wheels for x86-64 and ARM64.
EVERY_CPU = (Local.name, Arm.name, Ssh.name)
_ENOUGH = 8  # photos, to see whether emulated FP32 is FP32: it is a question of arithmetic


@dataclass(frozen=True)
class Options:
    """What the user may choose for the files of every target.

    For INT8 also the photos to calibrate on, and how their ranges are used (None: the default).
    `named` says which of "opset", "photos", "count" (`at_most` so many photos), "method" and
    "keep_float" the user named: where a calibrated file is kept, another is made only if one of
    these differs, or to `recalibrate`. `kept` are the calibrations, by target, whose files are
    used as they are; what is not named of one in `remade` is taken from there.
    """

    opset: int
    calibration: Calibration | None = None
    quant: QuantConfig | None = None
    named: frozenset[str] = frozenset()
    at_most: int | None = None
    recalibrate: bool = False
    kept: Mapping[str, Kept] = field(default_factory=dict)
    remade: Mapping[str, Kept] = field(default_factory=dict)

    def measured(self, inference: Artifact) -> tuple[Artifact, Artifact, Crops, QuantConfig]:
        """What all INT8 files start from: ONNX file, ranges, photos, and how to use them."""
        if self.calibration is None:
            raise UserError("int8 needs photos to calibrate on: CALIB=folder")
        onnx = to_onnx(inference, self.opset)
        return onnx, *self.calibration.measure(onnx), self.quant or QuantConfig()

    def fitted(self, inference: Artifact, kernels: Kernels = ARM) -> Artifact:
        """The graph whose activations FP16 kernels can hold, by what photos have shown."""
        return fit_ranges(inference, photo_sizes(to_onnx(inference, self.opset)), kernels)


@dataclass(frozen=True)
class Tool:
    """A package, and the environment that has it."""

    package: str
    environment: Environment = MAIN

    @property
    def version(self) -> str | None:
        """Its installed version; None where it is absent."""
        return self.environment.version(self.package)


@dataclass(frozen=True)
class Guide:
    """How a program of one's own runs a package: a page with `$words`, in a file beside a target.

    `words` gives those that depend on the precision; the others are `deploy.packages.guide`'s.
    """

    page: Path
    words: Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Engine:
    """What runs a target's files from a package.

    `name` is its word there, `file` the one that it opens first, and `version` says of such a file
    which version of the engine it asks for. The demo app has those without a `guide`.
    """

    name: str
    file: str
    version: Callable[[Path], str | None]
    guide: Guide | None = None

    @property
    def in_app(self) -> bool:
        return self.guide is None


@dataclass(frozen=True)
class Serving:
    """How servers run a target's files.

    `backend` is the one of a full Triton (None: it has none), on a `gpu` or not; `names` is what it
    calls files that have another name here, `max_batch` how many photos it may put together for it
    (0: none), `settings` what its config.pbtxt has besides, and `instances` what that says of them.
    `loses` says what the file may lose there, "" for nothing. `in_server` says that .venv-serve
    holds the runtime; else the one in .venv computes for the server that runs here.
    """

    backend: str | None
    gpu: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    max_batch: int = 32
    settings: Mapping[str, Any] = field(default_factory=dict)
    instances: Mapping[str, Any] = field(default_factory=dict)
    loses: str = ""
    in_server: bool = True


class Target(abc.ABC):
    """One row of the table of targets, with all that is known of a target; a subclass a file.

    For people: `name` is its word on command lines, `summary` and `runs_on` (where its file runs,
    and what stands in for that here) are for help texts and the README.

    `precisions` are those that it has, first the one that a bare name means; those in
    `on_request` are made only for who names them, with the `warning`.

    `kinds` are the artifacts that are made on the way, from the inference graph to the one that is
    deployed, which is the last. `tools` are the packages that make its file or compute with it.

    `hosts` are the kinds of hosts that run the target's own software, this machine ("local")
    and others; none where only other devices do. `engine` runs its files from a package, in the
    app or in a program of one's own, if anything does; `peers` are other tools that run the same
    file here, to be timed against; `published_gpu` is the GPU whose published latencies it is held
    against ("T4"), if any. `methods` are the ways to calibrate INT8, the default first.
    `elsewhere` says that it has no file of ours: what others run is judged, as it is, where it is
    named ("all" means those that are made here).
    `fits_ranges` says that its FP16 file is made of a graph whose activations are small enough for
    its `kernels` (`convert.range_fitting`). `products_in_int8` says whether its INT8 computes
    products of two activations in integers, too. A `black_box` shows no tensor but its result.
    """

    name: str
    summary: str
    runs_on: str
    precisions: tuple[str, ...]
    on_request: tuple[str, ...] = ()
    warning: str = ""
    kinds: tuple[Kind, ...]
    tools: tuple[Tool, ...]
    hosts: tuple[str, ...] = (Local.name,)
    engine: Engine | None = None
    peers: tuple[Peer, ...] = ()
    published_gpu: str | None = None
    methods: tuple[str, ...] = METHODS
    fits_ranges: bool = False
    kernels: Kernels = ARM
    products_in_int8: bool = True
    black_box: bool = False
    elsewhere: bool = False

    @abc.abstractmethod
    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """Make (or find) the file that is deployed on this target."""

    @abc.abstractmethod
    def session_spec(self, precision: str) -> SessionSpec:
        """How this precision runs on this machine."""

    def host_problem(self, host: Host) -> str | None:
        """Why it does not run on a host; None where it does."""
        if host.kind in self.hosts:
            return host.python_problem()
        return f"it runs on {', '.join(self.hosts)} only" if self.hosts else "no host runs it"

    def session_spec_on(self, host: Host, precision: str) -> SessionSpec:
        """How this precision runs on a host that has no problem with the target."""
        return on_host(host, self.session_spec(precision), precision)

    def float_onnx(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """The float32 ONNX file whose tensors a precision's file has, rounded or not."""
        if precision == "fp16" and self.fits_ranges:
            inference = options.fitted(inference, self.kernels)
        return to_onnx(inference, options.opset)

    def timed_session_spec(self, precision: str) -> SessionSpec:
        """How it runs to be timed: the same, unless `session_spec` is for checking only."""
        return self.session_spec(precision)

    def served_session_spec(self, precision: str) -> SessionSpec:
        """How it runs behind the server here, in batches of any size."""
        return self.session_spec(precision)

    def gpu_here(self) -> tuple[Gpu, Library] | None:
        """The GPU of this machine that it runs on, and the library that it runs in, if any."""
        return None

    def serving(self, precision: str) -> Serving | None:
        """How servers run its files; None where they do not."""
        return None

    def grid(self) -> Grid:
        """The integers of its INT8."""
        return Grid(symmetric=True, weight_limit=127)

    def placement(self, onnx: Artifact) -> Placement:
        """What its INT8 rounds in a float ONNX file."""
        return placement_of(onnx, self.grid())

    def in_float(self, layers: Sequence[str]) -> Sequence[str]:
        """Those of a network's layers, in order, that its INT8 leaves in float in any case."""
        return ()

    def graph_of(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ) -> Artifact:
        """The Paddle graph that a file is made of, where `black_box` says that it is one."""
        if precision == "fp16" and self.fits_ranges:
            return options.fitted(inference, self.kernels)
        return inference

    def cut_file(self, cut: Artifact, precision: str) -> Artifact:
        """The file of such a graph that ends early (`convert.cut_graph`)."""
        raise NotImplementedError(f"{self.name} lets one look inside")

    def problem(self) -> str | None:
        """Why its files cannot even be built here, with the command that would mend it."""
        return None

    def file_pattern(self) -> str:
        """Where its files lie below a model's folder, in Markdown."""
        kind = self.kinds[-1]
        precision = self.precisions[0] if len(self.precisions) == 1 else "<precision>"
        first, *others = kind.files
        beside = "".join(f", `{Path(name).suffix}`" for name in others)
        return f"`{kind.name}/{precision}/{first}`{beside}"

    def fits(self, artifact: Artifact) -> bool:
        """Whether an INT8 file that was made earlier is one for this machine."""
        return True

    def refit(self, artifact: Artifact) -> Artifact:
        """The file for this machine, of the same integers as one that does not fit."""
        raise NotImplementedError(f"files of {self.name} fit everywhere")

    def digests(self, artifact: Artifact) -> dict[str, str]:
        """The sha256 of each file that is deployed, by name: what statements about it carry."""
        return artifact.digests(self.kinds[-1].files)

    def present_digests(self, build: str, precision: str) -> dict[str, str] | None:
        """Those of a build's files that lie in the build folder; None where they are not whole."""
        found = load(self.kinds[-1].folder(build, precision))
        return self.digests(found) if found else None

    def build_report(self, artifact: Artifact) -> str:
        """What was found out when an artifact was built, in a clause beside a simulation's result.

        A target that cannot run here may still have its file parsed, or built ahead of time. ""
        where there is nothing to say.
        """
        return ""

    def to_do_there(self, artifact: Artifact) -> list[str]:
        """What is left to do with an artifact on the hardware itself, with the line to type.

        Empty where its file is what runs there.
        """
        return []

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ) -> Artifact:
        """What to open in place of `artifact` where `session_spec` says "simulated".

        Where the simulation's runtime reads the deployed file itself, that is `artifact`; else
        another form of the inference graph that computes by the same numbers.
        """
        return artifact


def on_host(host: Host, session_spec: SessionSpec, precision: str) -> SessionSpec:
    """The same session in the interpreter of another host than this machine.

    Only what is native here runs there: a simulation stays, as it is faster here and says the
    same. A board, too, is native: the runtimes that run on it are made for its processor.
    """
    if host is LOCAL or session_spec.execution != NATIVE:
        return session_spec
    if not host.emulates:
        return dataclasses.replace(session_spec, photos=None, host=host)
    return dataclasses.replace(
        session_spec,
        execution=EMULATED,
        reason=f"no ARM device is here; QEMU executes its code ({host.model})",
        photos=_ENOUGH if precision == "fp32" else session_spec.photos,
        batch=1,  # seconds' work
        one_thread=True,
        host=host,
    )
