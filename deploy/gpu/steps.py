"""The parts of a GPU check, in their order: which command each is, and what it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import process
from common.errors import StepError
from common.paths import ROOT
from deploy.targets import TARGETS
from deploy.targets.tensorrt import TensorRt
from models.registry import MODELS
from models.weights import available
from runtimes import nvidia
from runtimes.environments import MAIN, TRT
from runtimes.tensorrt_library import problem

REAL, SIMULATED, TRAINING = "real", "simulated", "training"  # folders of a check
BATCHES = "1,4,8"  # those of the published tables
_TRAINED = "SqueezeNet1_1"
_TRAINED_ON = ("--data", "cifar10", "--photos", "5000")
_HOUR = 3600.0


@dataclass(frozen=True)
class Wanted:
    """What the user asks for; `data` and the rest are words of the commands that they go to."""

    out: Path
    models: Sequence[str]
    precisions: Sequence[str]
    weights: str | None
    photos: Sequence[str]
    seconds: float  # for a latency

    def changes(self, folder: str, model: str) -> Path:
        """Where the changed decisions of a model's real or simulated files are kept."""
        return self.out / f"changes-{folder}-{model}.json"


@dataclass(frozen=True)
class Task:
    """A part that a command of the toolkit does; `words` are its Python file and its arguments.

    `absent` says before it starts why it cannot run here, `after` once it has ended well.
    `on_gpu` says that its results must be of the GPU. `clears` is what an earlier attempt may have
    left, which goes first.
    """

    name: str
    words: Sequence[str]
    limit: float
    absent: Callable[[], str | None]
    after: Callable[[], str | None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    on_gpu: bool = True
    clears: Path | None = None


@dataclass(frozen=True)
class Comparison:
    """The part of a model that holds its simulation against what the GPU did."""

    model: str


def steps(wanted: Wanted, target: str) -> list[Task | Comparison]:
    """All parts, in their order."""
    setup = ("runtimes/install.py", "--only", TRT.name)
    found: list[Task | Comparison] = [Task("set-up", setup, _HOUR, nvidia.missing, TRT.problem)]
    for model in wanted.models:
        found += _of_model(wanted, target, model)
    return [*found, _training(wanted, 1), _training(wanted, 2)]


def _of_model(wanted: Wanted, target: str, model: str) -> list[Task | Comparison]:
    cells: tuple[str, ...] = ("--model", model, "--target", target)
    cells += tuple(f"--precision={one}" for one in wanted.precisions)
    weights = wanted.weights or ("" if available(MODELS[model]) else "random")
    photos = (*((f"--weights={weights}",) if weights else ()), *wanted.photos)

    def judged(name: str, folder: str, **hidden: str) -> Task:
        changes = wanted.changes(folder, model)
        words = ("deploy/validate.py", *cells, *photos, f"--changes={changes}", "--json")
        place = {"BUILD_DIR": str(wanted.out / folder), **hidden}
        on_gpu = folder == REAL
        return Task(f"{name} {model}", words, 6 * _HOUR, problem, environment=place, on_gpu=on_gpu)

    timing = ("deploy/benchmark.py", *cells, "--batch", BATCHES, f"--limit={wanted.seconds:g}")
    return [
        judged("drift", REAL),
        judged("simulation", SIMULATED, CUDA_VISIBLE_DEVICES=""),
        Comparison(model),
        Task(
            f"latency {model}",
            (*timing, "--json"),
            _HOUR,
            problem,
            environment={"BUILD_DIR": str(wanted.out / REAL)},
        ),
    ]


def _training(wanted: Wanted, devices: int) -> Task:
    """An epoch in mixed precision, which training on a GPU always is."""
    out = wanted.out / f"{TRAINING}-{devices}"
    device = "gpu" if devices == 1 else f"gpu:{devices}"
    words = ("training/train.py", "--model", _TRAINED, *_TRAINED_ON, "--epochs", "1")
    return Task(
        "training" if devices == 1 else f"training on {devices} GPUs",
        (*words, "--devices", device, f"--out={out}"),
        2 * _HOUR,
        lambda: _paddle_problem(devices),
        clears=out,
    )


def _paddle_problem(devices: int) -> str | None:
    """Why PaddlePaddle cannot use so many GPUs here."""
    if problem := nvidia.missing():
        return problem
    there = len(nvidia.find()[0])
    if there < devices:
        return f"it takes {devices} GPUs, and there is {there}"
    question = (
        "import paddle; cuda = paddle.device.is_compiled_with_cuda(); "
        "print(paddle.device.cuda.device_count() if cuda else 0)"
    )
    try:
        asked = process.run([MAIN.python, "-c", question], what="asking PaddlePaddle", limit=120)
    except StepError as error:
        return str(error)
    usable = int(asked.stdout.split()[-1])
    if usable >= devices:
        return None
    return f"this PaddlePaddle uses {usable} GPUs; install paddlepaddle-gpu in {MAIN.folder}"


def target_here() -> TensorRt:
    """The target that names a GPU of this machine; where none does, that for the T4, on which
    another GPU's figures are real, but not those of a T4."""
    targets = [one for one in TARGETS.values() if isinstance(one, TensorRt)]
    named = [one for one in targets if any(map(one.is_named, nvidia.find()[0]))]
    return named[0] if named else next(one for one in targets if one.published_gpu == "T4")


def command_line(step: Task) -> list[str]:
    """The program that does it, to be run from anywhere."""
    script, *rest = step.words
    return [str(MAIN.python), str(ROOT / script), *rest]
