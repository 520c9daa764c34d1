"""What accuracy costs: time, bytes, and multiply-adds, a stand-in for energy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import markupsafe

from calib.kept import kept_folder
from common import files
from convert.artifact import MANIFEST
from convert.to_onnx import multiply_adds
from deploy.reports import figures
from deploy.reports.figures import Point
from deploy.reports.runs import column
from deploy.request.judging import FEW
from deploy.targets import TARGETS
from deploy.verdict.result import Result
from deploy.verdict.tables import drift_interval
from models.published import size_or_accuracy
from runtimes.session_pool import NATIVE, SIMULATED


@dataclass(frozen=True)
class Cost:
    """A build's row: what one image takes, and how large its files are."""

    name: str
    multiply_adds: str
    flops: str
    parameters: str
    sizes: str


def costs(results: Sequence[Result]) -> Iterator[Cost]:
    """A row for each build."""
    for name in dict.fromkeys(one.name for one in results):
        those = [one for one in results if one.name == name]
        found, counted = _gmacs(those[0])
        published = [size_or_accuracy(those[0].model, word) for word in ("flops", "parameters")]
        flops, parameters = (figure.printed if figure else "-" for figure in published)
        sizes = [f"{column(one)} {size:.1f}" for one in those if (size := megabytes(one))]
        said = "-" if found is None else f"{found:.3f}{'' if counted else ' (published)'}"
        yield Cost(name, said, flops, parameters, ", ".join(sizes) or "-")


def megabytes(one: Result) -> float | None:
    """The size in MB of the files that a result is about: where they still lie, else as the search
    for INT8 has written it down."""
    target = TARGETS.get(one.target)
    if target and one.files:
        kind = target.kinds[-1]
        kept = kept_folder(one.name, one.target) / kind.name
        for folder in (kind.folder(one.name, one.precision), kept):
            stored = (files.read_json(folder / MANIFEST) or {}).get("files", {})
            if all(stored.get(name, {}).get("sha256") == sha for name, sha in one.files.items()):
                return sum(stored[name]["bytes"] for name in one.files) / 1e6
    return one.size.int8 if one.size and one.precision == "int8" else None


def tradeoffs(results: Sequence[Result]) -> Iterator[tuple[str, list[markupsafe.Markup]]]:
    """For each set of photos its name and the plots of accuracy against every cost: accuracy on
    different photos cannot be compared, and that on fewer than `FEW` says nothing."""
    judged = [one for one in results if one.drift and one.data.images >= FEW]
    for photos in dict.fromkeys(map(_photos, judged)):
        those = [one for one in judged if _photos(one) == photos]
        labelled = all(one.measured for one in those)
        what = "top-1" if labelled else "decisions that agree with Paddle"
        plots = []
        for label, cost in _COSTS.items():
            points = [
                Point(
                    *(one.name, str(column(one)), found, *_accuracy(one, labelled)),
                    simulated=one.execution == SIMULATED,
                )
                for one in those
                if (found := cost(one))
            ]
            if len({point.cost for point in points}) > 1:
                plots.append(figures.tradeoff(points, what, label))
        if plots:
            yield f"{those[0].data.images} photos of {those[0].data.name}", plots


def _photos(one: Result) -> tuple[str, int]:
    """What judged: an emulator takes the first few of the same photos."""
    return one.data.sha256, one.data.images


def _accuracy(one: Result, labelled: bool) -> tuple[float, tuple[float, float] | None]:
    """The share of photos that are right, or that Paddle decides alike, and its interval."""
    assert one.drift
    if labelled and one.measured:
        return one.measured.top1, _interval(one)
    return one.drift.agreement, None


def _interval(one: Result) -> tuple[float, float] | None:
    """The shares between which the drift's interval leaves the accuracy."""
    found = drift_interval(one)
    if found is None or one.reference is None:
        return None
    low, high = (one.reference.top1 + end / 100 for end in found[1])
    return low, high


def _latency(one: Result) -> float | None:
    first = (one.latency or {}).get("1")
    return first.median_ms if first and one.execution == NATIVE else None


def _gmacs(one: Result) -> tuple[float | None, bool]:
    """The multiply-adds of an image, in thousand millions, and whether they were counted in the
    build's ONNX file; else they follow from what is published of the model."""
    found = multiply_adds(one.name)
    if found is not None:
        return 1e-9 * found, True
    published = size_or_accuracy(one.model, "flops")
    return published.value / published.document.operations if published else None, False


_COSTS: dict[str, Callable[[Result], float | None]] = {
    "median latency at batch 1, ms": _latency,
    "size of the files, MB": megabytes,
    "multiply-adds of an image, 1e9": lambda one: _gmacs(one)[0],
}
