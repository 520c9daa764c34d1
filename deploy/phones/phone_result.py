"""Results that phones send: read strictly, and judged again from their numbers.

Their form is described in docs/result.md. A phone's own verdict is never taken over: the gates of
`deploy.verdict.gates` decide here as they do for every other target.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from common import files
from common.console import say
from common.errors import UserError, suggest
from common.strict_json import STRICT, FormError, decode, encode, parse, short
from common.version import VERSION
from convert.artifact import Artifact
from convert.builds import exported
from deploy.packages.package import (
    CROPS,
    GOLDEN,
    LOGITS,
    MANIFEST,
    content_folder,
    packaged,
)
from deploy.targets import TARGETS, app_targets
from deploy.verdict import drift, gates, result
from deploy.verdict.drift import Comparison
from deploy.verdict.result import (
    Accuracy,
    Batch,
    Budget,
    Count,
    Digest,
    Drift,
    Environment,
    Host,
    Judged,
    Latency,
    NotNegative,
    Points,
    Positive,
    Reference,
    Result,
    Text,
)
from models.registry import MODELS

_LARGEST = 1 << 24  # bytes; a real one has some kilobytes
_LONGEST = 1000  # characters of a text
_ROUNDING = 1e-6  # between a share that a phone wrote and the same worked out here


# ---- the form: a result in which more is required, and what the toolkit adds may be absent ----


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhoneHost(Host):
    """`isa` is the app's ABI: it is all that Android tells of the instructions."""

    name: Literal["phone"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhoneDrift(Drift):
    """The interval is worked out here."""

    top1_pp: Points = field()
    gained: Count = field()
    lost: Count = field()
    ci95_pp: tuple[Points, Points] = (0.0, 0.0)
    ci_method: Text = "none yet"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhoneLatency(Latency):
    p90_ms: NotNegative = field()
    p99_ms: NotNegative = field()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhoneEnvironment(Environment):
    device: Text = field()
    soc: Text = field()
    abi: Text = field()
    android: Text = field()
    engine: Text = field()
    threads: Positive = field()
    versions: Mapping[Text, Text] = field()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhoneResult(Result):
    """A golden check, as the app exports it."""

    toolkit: Text = VERSION  # of the import: that is what judges
    host: PhoneHost
    execution: Literal["native"]
    files: Mapping[Text, Digest] = field()
    verdict: Judged
    reference: Reference = field()
    measured: Accuracy = field()
    drift: PhoneDrift = field()
    decisions: tuple[Count | None, ...] = field()
    budget: Budget = field()
    environment: PhoneEnvironment
    latency: Mapping[Batch, PhoneLatency] | None = None


# What a phone may write: what it must, and what is listed above.
FIELDS = {
    one.name
    for one in dataclasses.fields(PhoneResult)
    if one.name in PhoneResult.__annotations__ or one.default is dataclasses.MISSING
} - {"toolkit"}


def import_results(paths: Sequence[Path], budget_pp: float | None = None) -> list[Result]:
    """Read, judge and keep the results in these files; nothing is kept unless all are sound.

    Kept as `build/<name>/results/<target>-<precision>-<device>.json`. `budget_pp` is as for
    `deploy.verdict.gates.statistical_verdict`.
    """
    outcomes = [read_result(path, budget_pp) for path in paths]
    for outcome in outcomes:
        result.write(outcome, _slug(outcome.environment.device or ""))
    return outcomes


def read_result(path: Path, budget_pp: float | None = None) -> Result:
    """A phone's result with the verdict that its numbers amount to.

    UserError, naming the field, for whatever is not in the form, contradicts itself, or is not of
    the package that is here.
    """
    try:
        found = _read(path)
        _check_names(found)
        _check_sums(found)
        made, labelled = packaged(found.name, found.target, found.precision), True
        if made:
            _check_package(found, made)
            labelled = _golden(made).get("labelled", True)
        else:
            say(f"  {path.name}: its package is not here, so its photos are taken on trust")
    except FormError as error:
        raise UserError(f"{path}: {error}; export the result from the app again") from None
    compared = _compared(found, labelled)
    verdict = gates.judge(compared, found.precision, budget_pp)
    reason = verdict.reason
    if verdict.verdict != found.verdict:
        reason = f"the phone said {found.verdict}, but {reason}"
        say(f"  {path.name}: the phone said {found.verdict}, its numbers say {verdict.verdict}")
    judged = {"verdict": verdict.verdict, "reason": reason, "budget": encode(verdict.budget)}
    value = encode(found) | judged | {"drift": encode(compared.drift)}
    if not labelled:
        del value["reference"], value["measured"]
    if verdict.unlabelled:
        value["unlabelled"] = encode(verdict.unlabelled)
    return decode(Result, value)


def beside(outcomes: Sequence[Result]) -> list[Result]:
    """These results, which are kept, among the others of their builds and weights, for one table.

    Of the others those are left out, with a word, whose files are not (or no longer) in the build
    folder.
    """
    wanted = dict.fromkeys((outcome.name, outcome.weights) for outcome in outcomes)
    shown, left_out = [], 0
    for name, weights in wanted:
        for one in result.kept(name):
            if one.weights != weights:
                continue
            if one in outcomes or _is_of_present_files(one):
                shown.append(one)
            else:
                left_out += 1
    if left_out:
        say(f"  results not shown, being of files that are not here any more: {left_out}")
    return shown


def _is_of_present_files(one: Result) -> bool:
    target = TARGETS.get(one.target)
    present = target.present_digests(one.name, one.precision) if target else None
    return present is not None and one.files == present


# ---- reading ----


def _read(path: Path) -> PhoneResult:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give a result that the app exported")
    if path.stat().st_size > _LARGEST:
        raise FormError("too large to be a result")
    try:
        value = parse(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise FormError("not JSON, or cut short") from None
    try:
        result.check_schema(value)
    except FormError as error:
        raise FormError(f"{error}; make the app anew (make apk)") from None
    for name in value if isinstance(value, dict) else ():
        if name not in FIELDS:
            raise FormError(f"{short(name)} is unknown")
    found = decode(PhoneResult, value)
    _check_texts(value, "")
    return found


def _check_texts(value: Any, where: str) -> None:
    """Refuse texts that are no line: they end up on terminals, which obey control characters."""
    if isinstance(value, str) and not (0 < len(value) <= _LONGEST and value.isprintable()):
        raise FormError(f"{where} is {short(value)}, not a line of text")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name, f"a name in {where or 'it'}")
            _check_texts(inner, f"{where}.{name}".removeprefix("."))
    if isinstance(value, list):
        for inner in value:
            _check_texts(inner, where)


# ---- what the form cannot say ----


def _check_names(found: PhoneResult) -> None:
    model, target, precision = found.model, found.target, found.precision
    if model not in MODELS:
        raise FormError(f"model is {model!r}, which is unknown: {suggest(model, MODELS)}")
    there = exported(found.name)
    if found.name != model and (found.name in MODELS or (there and there.model != model)):
        raise FormError(f"name is {found.name!r}, which is another model's")
    if target not in app_targets():
        raise FormError(f"target is {target!r}, not {' or '.join(app_targets())}")
    if precision not in TARGETS[target].precisions:
        known = ", ".join(TARGETS[target].precisions)
        raise FormError(f"precision is {precision!r}; {target} has {known}")
    engine = app_targets()[target].engine
    if engine and list(found.files) != [engine.file]:
        named = ", ".join(map(short, found.files)) or "nothing"
        raise FormError(f"files names {named}, not {engine.file} alone")
    if not _slug(found.environment.device):
        raise FormError("environment.device has no letter or digit")


def _check_sums(found: PhoneResult) -> None:
    """Refuse numbers that contradict each other."""
    images, moved = found.data.images, found.drift
    if len(found.decisions) != images:
        raise FormError(f"decisions has {len(found.decisions)} entries for {images} photos")
    _check_equal("drift.top1_pp", moved.top1_pp, 100 * (moved.gained - moved.lost) / images)
    gain = found.measured.top1 - found.reference.top1
    _check_equal("measured.top1", gain, (moved.gained - moved.lost) / images)
    undecided = found.decisions.count(None)
    _check_equal("drift.non_finite_photos", moved.non_finite_photos, undecided)
    if (moved.non_finite > 0) != (undecided > 0) or moved.non_finite < undecided:
        raise FormError(
            f"drift.non_finite contradicts decisions: {moved.non_finite} logits in {undecided} "
            "photos without a decision"
        )
    changed = round((1 - moved.agreement) * images)
    if changed < max(moved.flips_beyond_tie, moved.gained + moved.lost):
        raise FormError(
            "drift.agreement leaves fewer changed decisions than gained, lost and flips_beyond_tie "
            "say"
        )


def _check_package(found: PhoneResult, made: Artifact) -> None:
    """Refuse a result of another file, weights or photos, or that its own decisions contradict."""
    folder = content_folder(made)
    manifest: Any = files.read_json(folder / MANIFEST)
    golden = _golden(made)
    for name, said, here in (
        *((name, found.files[name], manifest["files"][name]["sha256"]) for name in found.files),
        ("weights", found.weights, manifest["weights"]),
        ("data.sha256", found.data.sha256, manifest["files"][CROPS]["sha256"]),
        ("data.images", found.data.images, golden["count"]),
    ):
        if said != here:
            raise FormError(
                f"{name} is {said}, in the package that is here {here}; run that package's check"
            )
    logits = np.fromfile(folder / LOGITS, "<f4").reshape(golden["count"], -1)
    labels = np.array(golden["labels"])
    if any(one is not None and one >= logits.shape[1] for one in found.decisions):
        raise FormError(f"decisions names classes beyond {logits.shape[1] - 1}")
    reference = drift.measure_drift(logits, logits, labels).reference
    assert reference
    _check_equal("reference.top1", found.reference.top1, reference.top1)
    _check_equal("reference.top5", found.reference.top5, reference.top5)

    theirs = np.array([-1 if one is None else one for one in found.decisions])
    ours = drift.decisions(logits)
    right, was_right = theirs == labels, ours == labels
    agree = (theirs == ours) & (theirs >= 0)
    moved = found.drift
    _check_equal("measured.top1", found.measured.top1, right.mean())
    _check_equal("drift.agreement", moved.agreement, agree.mean())
    _check_equal("drift.gained", moved.gained, (right & ~was_right).sum())
    _check_equal("drift.lost", moved.lost, (was_right & ~right).sum())
    # Where the reference led by no less than any logit moved, no tie explains a change; nor does
    # one where there is no decision.
    beyond = ~agree & ((drift.lead(logits) >= moved.max_abs) | (theirs < 0) | (ours < 0))
    if beyond.sum() > moved.flips_beyond_tie:
        raise FormError(
            f"drift.flips_beyond_tie contradicts decisions and drift.max_abs: "
            f"{moved.flips_beyond_tie}, not {beyond.sum()} or more"
        )


def _golden(made: Artifact) -> Any:
    """What a package says of its golden photos."""
    return files.read_json(content_folder(made) / GOLDEN)


def _check_equal(name: str, theirs: float, ours: float) -> None:
    if abs(theirs - ours) > _ROUNDING * max(1, abs(ours)):
        raise FormError(f"{name} contradicts the other numbers: {theirs:g}, not {ours:g}")


def _compared(found: PhoneResult, labelled: bool) -> Comparison:
    """A phone's numbers as the gates take them, with the interval of its drift; where the photos
    have no labels, without those that count right ones."""
    moved, images = found.drift, found.data.images
    if not labelled:
        # A phone counts by the reference's decisions, which stand in the labels' place.
        counted = dict.fromkeys(("top1_pp", "ci95_pp", "ci_method", "gained", "lost"))
        return Comparison(images, None, None, Drift(**{**vars(moved), **counted}))
    interval = drift.interval_fields(moved.gained, moved.lost, images)
    return Comparison(
        images=images,
        reference=found.reference,
        measured=found.measured,
        drift=dataclasses.replace(moved, **interval),
    )


def _slug(device: str) -> str:
    """A device's name as a part of a file's name; empty where it has no letter or digit."""
    return re.sub(r"\W+", "-", device).strip("-_")[:40]
