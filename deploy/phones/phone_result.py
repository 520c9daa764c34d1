"""Results that phones send: read strictly, and judged again from their numbers.

Their form is described in docs/package.md. A phone's own verdict is never taken over: the gates of
`deploy.verdict.drift` decide here as they do for every other target.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import files
from common.console import say
from common.errors import UserError, suggest
from convert.artifact import Artifact
from deploy.packages.package import (
    CROPS,
    GOLDEN,
    LOGITS,
    MANIFEST,
    content_folder,
    packaged,
)
from deploy.targets import TARGETS, app_targets
from deploy.verdict import drift, result
from deploy.verdict.drift import Drift, Verdict
from deploy.verdict.paired import paired_interval
from models.registry import MODELS
from runtimes.session_pool import NATIVE

_LARGEST = 1 << 24  # bytes; a real one has some kilobytes
_ROUNDING = 1e-6  # between a share that a phone wrote and the same worked out here


def import_results(paths: Sequence[Path], budget_pp: float | None = None) -> list[dict[str, Any]]:
    """Read, judge and keep the results in these files; nothing is kept unless all are sound.

    Kept as `build/<model>/results/<target>-<precision>-<device>.json`. `budget_pp` is as for
    `deploy.verdict.drift.statistical_verdict`.
    """
    outcomes = [read_result(path, budget_pp) for path in paths]
    for outcome in outcomes:
        result.write(outcome, _slug(outcome["environment"]["device"]))
    return outcomes


def read_result(path: Path, budget_pp: float | None = None) -> dict[str, Any]:
    """A phone's result with the verdict that its numbers amount to.

    UserError, naming the field, for whatever is not in the form, contradicts itself, or is not of
    the package that is here.
    """
    try:
        found = _read_json(path)
        _check("", _FORM, found)
        _check_names(found)
        _check_sums(found)
        made = packaged(found["model"], found["target"], found["precision"])
        if made:
            _check_package(found, made)
        else:
            say(f"  {path.name}: its package is not here, so its photos are taken on trust")
        verdict, measured = _judge(found, budget_pp)
    except _BadResultError as error:
        raise UserError(f"{path}: {error}; export the result from the app again") from None
    reason = verdict.reason
    if verdict.verdict != found["verdict"]:
        reason = f"the phone said {found['verdict']}, but {reason}"
        say(f"  {path.name}: the phone said {found['verdict']}, its numbers say {verdict.verdict}")
    return {
        **found,
        "verdict": verdict.verdict,
        "reason": reason,
        "budget": verdict.budget,
        "drift": found["drift"] | measured.to_json()["drift"],
    }


def beside(outcomes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All kept results of the models and weights of these ones, for one table."""
    wanted = dict.fromkeys((outcome["model"], outcome["weights"]) for outcome in outcomes)
    return [
        outcome
        for model, weights in wanted
        for outcome in result.kept(model)
        if outcome["weights"] == weights
    ]


# ---- the form ----


class _BadResultError(Exception):
    """What is wrong with a result, without the file's name."""


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give a result that the app exported")
    if path.stat().st_size > _LARGEST:
        raise _BadResultError("too large to be a result")

    def refuse(word: str) -> None:
        raise _BadResultError(f"{word} is not a number that JSON knows")

    try:
        return json.loads(
            path.read_text("utf-8-sig"), parse_constant=refuse, object_pairs_hook=_object
        )
    except (ValueError, RecursionError):
        raise _BadResultError("not JSON, or cut short") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _BadResultError(f"{twice!r} stands there twice")
    return found


_Test = Callable[[Any], bool]


def _number(low: float, high: float = math.inf) -> tuple[_Test, str]:
    bounds = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
    what = "a finite number" + (f" {bounds}" if low > -math.inf else "")

    def test(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and abs(value) < math.inf and low <= value <= high

    return test, what


def _whole(low: int) -> tuple[_Test, str]:
    def test(value: Any) -> bool:
        return type(value) is int and low <= value < 2**53

    return test, f"a whole number of at least {low}"


def _word(*words: Any) -> tuple[_Test, str]:
    # 1 == 1.0 == True in Python, not here.
    def test(value: Any) -> bool:
        return any(type(value) is type(word) and value == word for word in words)

    return test, " or ".join(str(word) for word in words)


def _is_text(value: Any) -> bool:
    # Printable: it ends up on terminals, which obey control characters.
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _are_decisions(value: Any) -> bool:
    return isinstance(value, list) and all(
        one is None or (type(one) is int and one >= 0) for one in value
    )


_TEXT = (_is_text, "a line of text")
_DIGEST = (_is_digest, "a sha256 in hexadecimal")
_SHARE = _number(0, 1)
_COUNT = _whole(0)
_POSITIVE = _whole(1)
_LATENCY = {
    "median_ms": _number(0),
    "p90_ms": _number(0),
    "p99_ms": _number(0),
    "runs": _POSITIVE,
}

# Each name with the test of its value, or with what is inside; "?" marks what may be absent, "*"
# stands for any name.
_FORM: Mapping[str, Any] = {
    "schema": _word(result.SCHEMA),
    "model": _TEXT,
    "target": _TEXT,
    "precision": _TEXT,
    "weights": _TEXT,
    "verdict": _word("pass", "fail", "undecided"),
    "reason": _TEXT,
    "execution": _word(NATIVE),
    "data": {"name": _TEXT, "images": _POSITIVE, "sha256": _DIGEST},
    "reference": {"runtime": _word("paddle"), "top1": _SHARE, "top5": _SHARE},
    "measured": {"top1": _SHARE, "top5": _SHARE},
    "drift": {
        "top1_pp": _number(-100, 100),
        "agreement": _SHARE,
        "gained": _COUNT,
        "lost": _COUNT,
        "flips_beyond_tie": _COUNT,
        "max_abs": _number(0),
        "max_rel": _number(0),
        "non_finite": _COUNT,
    },
    "decisions": (_are_decisions, "a list of class numbers (null: no decision)"),
    "budget": {"kind": _word("numeric", "statistical"), "limit": _TEXT},
    "latency?": {"*": _LATENCY},
    "environment": {
        "device": _TEXT,
        "soc": _TEXT,
        "abi": _TEXT,
        "android": _TEXT,
        "engine": _TEXT,
        "versions": {"*": _TEXT},
        "threads": _POSITIVE,
        "power_mode?": _TEXT,
    },
}


def _check(where: str, form: Any, value: Any) -> None:
    """Hold a value against its form; `where` is its dotted name."""
    if isinstance(form, tuple):
        test, what = form
        if not test(value):
            raise _BadResultError(f"{where} is {_short(value)}, not {what}")
        return
    if not isinstance(value, dict):
        raise _BadResultError(f"{where or 'it'} is {_short(value)}, not an object")
    prefix = f"{where}." if where else ""
    forms = {name.removesuffix("?"): inner for name, inner in form.items()}
    for name in form:
        if not name.endswith(("?", "*")) and name not in value:
            raise _BadResultError(f"{prefix}{name} is missing")
    for name, inner in value.items():
        inner_form = forms.get(name) or forms.get("*")
        if inner_form is None:
            raise _BadResultError(f"{prefix}{_short(name)} is unknown")
        _check(f"{prefix}{name}", inner_form, inner)


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


# ---- what the form cannot say ----


def _check_names(found: Mapping[str, Any]) -> None:
    model, target, precision = (found[name] for name in ("model", "target", "precision"))
    if model not in MODELS:
        raise _BadResultError(f"model is {model!r}, which is unknown: {suggest(model, MODELS)}")
    if target not in app_targets():
        raise _BadResultError(f"target is {target!r}, not {' or '.join(app_targets())}")
    if precision not in TARGETS[target].precisions:
        known = ", ".join(TARGETS[target].precisions)
        raise _BadResultError(f"precision is {precision!r}; {target} has {known}")
    if not _slug(found["environment"]["device"]):
        raise _BadResultError("environment.device has no letter or digit")


def _check_sums(found: Mapping[str, Any]) -> None:
    """Refuse numbers that contradict each other."""
    images, moved = found["data"]["images"], found["drift"]
    if len(found["decisions"]) != images:
        raise _BadResultError(
            f"decisions has {len(found['decisions'])} entries for {images} photos"
        )
    _check_equal(
        "drift.top1_pp", moved["top1_pp"], 100 * (moved["gained"] - moved["lost"]) / images
    )
    gain = found["measured"]["top1"] - found["reference"]["top1"]
    _check_equal("measured.top1", gain, (moved["gained"] - moved["lost"]) / images)
    if _flips(found) < max(moved["flips_beyond_tie"], moved["gained"] + moved["lost"]):
        raise _BadResultError(
            "drift.agreement leaves fewer changed decisions than gained, lost and flips_beyond_tie "
            "say"
        )


def _flips(found: Mapping[str, Any]) -> int:
    return round((1 - found["drift"]["agreement"]) * found["data"]["images"])


def _check_package(found: Mapping[str, Any], made: Artifact) -> None:
    """Refuse a result of other weights or photos, or one that its own decisions contradict."""
    folder = content_folder(made)
    manifest, golden = files.read_json(folder / MANIFEST), files.read_json(folder / GOLDEN)
    for name, theirs, ours in (
        ("weights", found["weights"], manifest["weights"]),
        ("data.sha256", found["data"]["sha256"], manifest["files"][CROPS]["sha256"]),
        ("data.images", found["data"]["images"], golden["count"]),
    ):
        if theirs != ours:
            raise _BadResultError(
                f"{name} is {theirs}, in the package that is here {ours}; run that package's check"
            )
    logits = np.fromfile(folder / LOGITS, "<f4").reshape(golden["count"], -1)
    labels = np.array(golden["labels"])
    if any(one is not None and one >= logits.shape[1] for one in found["decisions"]):
        raise _BadResultError(f"decisions names classes beyond {logits.shape[1] - 1}")
    reference = drift.measure_drift(logits, logits, labels)
    _check_equal("reference.top1", found["reference"]["top1"], reference.reference_top1)
    _check_equal("reference.top5", found["reference"]["top5"], reference.reference_top5)

    theirs = np.array([-1 if one is None else one for one in found["decisions"]])
    ours = logits.argmax(axis=1)
    right, was_right = theirs == labels, ours == labels
    _check_equal("measured.top1", found["measured"]["top1"], right.mean())
    _check_equal("drift.agreement", found["drift"]["agreement"], (theirs == ours).mean())
    moved = found["drift"]
    _check_equal("drift.gained", moved["gained"], (right & ~was_right).sum())
    _check_equal("drift.lost", moved["lost"], (was_right & ~right).sum())
    # Where the reference led by no less than any logit moved, no tie explains a change.
    beyond = (theirs != ours) & (drift.lead(logits) >= moved["max_abs"])
    if beyond.sum() > moved["flips_beyond_tie"]:
        raise _BadResultError(
            f"drift.flips_beyond_tie contradicts decisions and drift.max_abs: "
            f"{moved['flips_beyond_tie']}, not {beyond.sum()} or more"
        )


def _check_equal(name: str, theirs: float, ours: float) -> None:
    if abs(theirs - ours) > _ROUNDING * max(1, abs(ours)):
        raise _BadResultError(f"{name} contradicts the other numbers: {theirs:g}, not {ours:g}")


def _judge(found: Mapping[str, Any], budget_pp: float | None) -> tuple[Verdict, Drift]:
    """What the gate of this precision says about a phone's numbers."""
    moved, images = found["drift"], found["data"]["images"]
    measured = Drift(
        images=images,
        reference_top1=found["reference"]["top1"],
        reference_top5=found["reference"]["top5"],
        measured_top1=found["measured"]["top1"],
        measured_top5=found["measured"]["top5"],
        gained=moved["gained"],
        lost=moved["lost"],
        agreement=moved["agreement"],
        flips=_flips(found),
        flips_beyond_tie=moved["flips_beyond_tie"],
        max_abs=moved["max_abs"],
        max_rel=moved["max_rel"],
        non_finite=moved["non_finite"],
        reference_non_finite=0,
        ci95=paired_interval(moved["gained"], moved["lost"], images),
    )
    return drift.judge(measured, found["precision"], budget_pp), measured


def _slug(device: str) -> str:
    """A device's name as a part of a file's name; empty where it has no letter or digit."""
    return re.sub(r"\W+", "-", device).strip("-_")[:40]
