"""The result of a model on a target: one typed value, whoever measured it.

It is made by the validator, the search for INT8 files and the import of phones' results, written
and read here, and shown by `deploy.verdict.tables`. docs/result.md says what each field means.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from common import files
from common.cli import Exit
from common.console import say, shown
from common.paths import build_root
from common.strict_json import STRICT, FormError, decode, encode, parse, short
from convert.builds import NAME
from runtimes.session_pool import SIMULATED, Execution

SCHEMA = 2

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Batch = Annotated[str, Field(pattern="^[1-9][0-9]*$")]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Points = Annotated[float, Field(ge=-100, le=100)]
NotNegative = Annotated[float, Field(ge=0)]

Judged = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Host:
    """Where the session's process ran: "local" is the machine that the toolkit runs on, "arm" an
    ARM CPU that it emulates, "ssh:" and a name a board, a URL what a server serves there."""

    name: Text
    isa: tuple[Text, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Data:
    """The photos that judged."""

    name: Text
    images: Positive
    skipped: Count = 0
    sha256: Digest
    seen: Count | None = None  # of them, in training; their accuracy is not that on new photos


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Accuracy:
    """Shares of photos that are right."""

    top1: Share
    top5: Share


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Reference(Accuracy):
    """The accuracy that drift is counted from."""

    runtime: Literal["paddle"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Drift:
    """A target's logits held against the reference's, photo by photo.

    A decision is a photo's top-1 class; where logits tie, the lower class number wins, in top-1 as
    in top-5. A photo with a logit that is not finite has no decision: it is wrong, and agrees with
    nothing. Percentage points are of top-1, target less reference; they, and the counts of photos
    that are right, are absent where the photos have no labels.
    """

    top1_pp: Points | None = None
    ci95_pp: tuple[Points, Points] | None = None
    ci_method: Text | None = None
    agreement: Share  # of photos with equal decisions
    gained: Count | None = None  # photos wrong by the reference and right by the target
    lost: Count | None = None  # the reverse
    flips_beyond_tie: Count  # unequal where the reference's top-1 led by no less than it moved
    max_abs: NotNegative  # largest difference of two logits, both finite
    max_rel: NotNegative  # largest, over photos, of max|a − b| / max|a|
    non_finite: Count  # logits of the target that are not finite
    non_finite_photos: Count  # photos with such a logit


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Temperature:
    """What the reference's logits are divided by to be taken for probabilities, and on how many
    labelled photos that was fitted (0: it is 1); the expected calibration errors of the reference's
    decisions on these photos are at 1 and at this temperature."""

    value: Annotated[float, Field(gt=0)]
    photos: Count
    error_at_one: Share | None = None
    error: Share | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Estimate:
    """The drift of top-1 that the reference's own probabilities expect; what it alone would say of
    the budget is no verdict of the target."""

    top1_pp: Points
    ci95_pp: tuple[Points, Points]
    ci_method: Text
    largest_pp: Points  # what one photo is taken to cost at most
    temperature: Temperature
    verdict: Judged


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Powered:
    """The drift of top-1 by labelled photos and by others together; `used` says whether it decided,
    being narrower than the interval of the labelled ones alone."""

    top1_pp: Points
    ci95_pp: tuple[Points, Points]
    ci_method: Text
    used: bool


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Unlabelled:
    """What decisions say by themselves, over all photos that judged, with labels or without."""

    images: Positive
    changed: Count
    agreement_ci95: tuple[Share, Share]
    bound_pp: Points  # the most that top-1 can have fallen
    expected_top1: Share | None = None  # of the reference, by its own probabilities
    estimate: Estimate | None = None
    powered: Powered | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Budget:
    """What the gate allows."""

    kind: Literal["numeric", "statistical", "unlabelled"]
    limit: Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Environment:
    """What computed: the processor and the runtime, or the phone and the app's engine."""

    cpu: Text | None = None
    device: Text | None = None
    soc: Text | None = None
    abi: Text | None = None
    android: Text | None = None
    engine: Text | None = None
    threads: Positive | None = None
    arithmetic: Text | None = None
    kernels: Text | None = None
    power_mode: Text | None = None
    gpu: Text | None = None
    driver: Text | None = None
    gpu_clocks_mhz: Mapping[Text, Count] | None = None
    cuda_graph: bool | None = None
    transfers: Text | None = None
    versions: Mapping[Text, Text] | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Mistake:
    """A wrong preparation of photos that explains a server's answers: of so many photos that were
    tried, since their decision changed or they moved most, it gives so many."""

    words: Text
    tried: Positive
    explained: Positive


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Served:
    """What a server says of the model that it serves, and how it was asked."""

    url: Text
    server: Text
    server_version: Text | None = None
    model: Text
    version: Text | None = None
    platform: Text | None = None
    takes: Literal["tensors", "photos"]
    retried: Count  # requests that were sent again
    mistake: Mistake | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CalibrationPhotos:
    """The photos that an INT8 file was calibrated on: "own", given for that, set "apart" from those
    that judged then, or "trained", which trained the checkpoint or were there to."""

    name: Text
    images: Positive
    sha256: Digest
    split: Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Calibration:
    """How an INT8 file was calibrated; its weights have so many bits."""

    method: Text
    keep_float: tuple[Text, ...]
    weight_bits: Positive
    photos: CalibrationPhotos | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Latency:
    """How long a batch took; `deploy.speed.latency` says how that is measured."""

    median_ms: NotNegative
    ci95_ms: tuple[NotNegative, NotNegative] | None = None
    p90_ms: NotNegative | None = None
    p99_ms: NotNegative | None = None
    least_ms: NotNegative | None = None
    spread: NotNegative | None = None
    runs: Positive
    warmup_runs: Count | None = None
    others: NotNegative | None = None
    noisy: tuple[Text, ...] | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PublishedLatency:
    """A published figure, where it stands, and measured over published on the same GPU."""

    ms: NotNegative
    place: Text
    contested: tuple[Text, ...] | None = None
    ratio: NotNegative | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Published:
    """The published latencies of a GPU, by batch, or why there is nothing to compare."""

    gpu: Text
    precision: Text
    batch: Mapping[Batch, PublishedLatency]
    comparable: bool
    why: Text | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Sensitivity:
    """What quantizing a layer costs, as `calib.sensitivity.Effect` has it."""

    layer: Text
    operator: Text
    noise: NotNegative
    logits: NotNegative | None = None
    flips: Share | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Size:
    """The sizes of the files, in MB."""

    int8: NotNegative
    fp32: NotNegative


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Speed:
    """INT8 and FP32 by turns: `ratio` is FP32's time over INT8's."""

    int8_ms: NotNegative
    fp32_ms: NotNegative
    ratio: NotNegative
    ci95: tuple[NotNegative, NotNegative]
    advice: Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Costs:
    """What a configuration of INT8 costs."""

    size: Size
    speed: Speed | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Result:
    """What became of a model on a target, on some photos."""

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    toolkit: Text
    model: Text
    name: Name
    target: Text
    precision: Text
    weights: Text
    host: Host
    execution: Execution
    files: Mapping[Text, Digest] | None = None  # that it is about; none where there was no file
    kernel_precisions: Mapping[Text, Positive] | None = None  # kernels by their arithmetic
    data: Data
    more: Data | None = None  # photos without labels, where these judged beside those of `data`
    verdict: Literal["pass", "fail", "undecided", "unavailable"]
    reason: Text
    simulation: Judged | None = None
    reference: Reference | None = None
    measured: Accuracy | None = None
    drift: Drift | None = None
    unlabelled: Unlabelled | None = None
    decisions: tuple[Count | None, ...] | None = None
    budget: Budget | None = None
    environment: Environment
    served: Served | None = None
    build_report: Text | None = None
    calibration: Calibration | None = None
    latency: Mapping[Batch, Latency] | None = None
    published: Published | None = None
    chosen: bool | None = None
    sensitivity: tuple[Sensitivity, ...] | None = None
    all_int8: Costs | None = None
    size: Size | None = None
    speed: Speed | None = None


def write(result: Result, device: str = "") -> None:
    """Keep a result as `build/<name>/results/<target>-<precision>[-<device>].json`.

    `device`, as a part of a file's name, tells results from other machines from this one's: a
    phone's name, or a host's label ("onnx-int8-arm-cortex-a76.json").
    """
    name = "-".join(filter(None, (result.target, result.precision, device))) + ".json"
    files.write_json(_folder(result.name) / name, encode(result))


def kept(name: str) -> list[Result]:
    """The results of a build that are kept, in the order of their files' names.

    A file that is none, as one that an older toolkit wrote, is left out with a sentence.
    """
    found = []
    for path in sorted(_folder(name).glob("*.json")):
        try:
            found.append(read(path))
        except FormError as error:
            again = f"make it again: make validate MODEL={name} TARGET=…"
            say(f"  {shown(path)} is left out: {error}; {again}")
    return found


def read(path: Path) -> Result:
    """The result in a file; FormError where it is none, or of another form than this toolkit's."""
    try:
        value = parse(path.read_text())
    except (OSError, UnicodeDecodeError):
        raise FormError("it cannot be read") from None
    check_schema(value)
    return decode(Result, value)


def check_schema(value: object) -> None:
    """Raise FormError where a JSON value says that it is a result of another form than this."""
    schema = value.get("schema", SCHEMA) if isinstance(value, dict) else SCHEMA
    if type(schema) is not int or schema != SCHEMA:
        raise FormError(f"schema is {short(schema)}, not {SCHEMA}, which this toolkit has")


def exit_status(
    results: Sequence[Result], accept_simulated: bool, accept_estimated: bool = False
) -> Exit:
    """The exit status that these results amount to, where simulations count, and estimates."""
    verdicts = {counted(one, accept_simulated, accept_estimated) for one in results}
    if "fail" in verdicts:
        return Exit.BROKEN
    return Exit.OK if verdicts == {"pass"} else Exit.UNDECIDED


def counted(one: Result, accept_simulated: bool, accept_estimated: bool) -> str:
    """A result's verdict, or what stands in its place where that is accepted."""
    estimate = one.unlabelled.estimate if one.unlabelled else None
    found = one.simulation if one.execution == SIMULATED else one.verdict
    if found == "undecided" and accept_estimated and estimate:
        found = estimate.verdict
    passes_by_right = one.execution != SIMULATED or accept_simulated
    return one.verdict if found is None or (found == "pass" and not passes_by_right) else found


def _folder(name: str) -> Path:
    return build_root() / name / "results"
