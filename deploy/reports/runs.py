"""A run to report on: its results, which cell of the matrix each is, and where they are read."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.console import say, shown
from common.errors import UserError
from common.paths import build_root
from common.strict_json import FormError, decode, encode, parse
from convert.builds import exported
from deploy.speed import latency
from deploy.speed.published import published_block
from deploy.targets import TARGETS
from deploy.verdict.reasons import where
from deploy.verdict.result import Result, check_schema, kept
from models.registry import MODELS
from runtimes.hosts.arm import Arm
from runtimes.hosts.local import LOCAL
from runtimes.session_pool import SIMULATED

_WOULD = {"pass": "pass", "fail": "fail", "undecided": "be undecided"}


@dataclass(frozen=True, order=True)
class Column:
    """A column of the matrix: what runs, and where."""

    rank: tuple[int, int]
    target: str
    precision: str
    place: str  # "" on this machine

    def __str__(self) -> str:
        return " ".join(filter(None, (self.target, self.precision, self.place)))


def column(one: Result) -> Column:
    """Where a result stands in the matrix; an emulated CPU is a place of its own."""
    place = where(one).removeprefix(one.target).strip(" ()")
    if one.host.name == Arm.name and one.environment.cpu:
        place = f"{place} {one.environment.cpu.partition(',')[0]}".strip()
    targets, precisions = list(TARGETS), ["fp32", "bf16", "fp16", "int8"]
    rank = tuple(
        words.index(word) if word in words else len(words)
        for words, word in ((targets, one.target), (precisions, one.precision))
    )
    return Column((rank[0], rank[1]), one.target, one.precision, place)


Key = tuple[str, Column]


def key(one: Result) -> Key:
    """What makes results of two runs each other's."""
    return one.name, column(one)


def title(one: Result) -> str:
    """A result's name in a sentence: "SqueezeNet1_1 onnx int8"."""
    return f"{one.name} {column(one)}"


def anchor(one: Result) -> str:
    """The result's place in a page: letters, digits, "-", "." and "_" only."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "._" else "-" for c in title(one))


def results_here(names: Iterable[str]) -> list[Result]:
    """The kept results of these builds, models and columns in their usual order, with what a
    benchmark has measured of the very files since they were judged."""
    return _in_order(_with_latency(one) for name in names for one in kept(name))


def _with_latency(one: Result) -> Result:
    graph = exported(one.name)
    if one.latency or graph is None or one.host.name != LOCAL.name or one.target not in TARGETS:
        return one
    figures = latency.kept(one.name, one.target, one.precision, one.files or {})
    if not figures:
        return one
    medians = {batch: figure.median_ms for batch, figure in figures.items()}
    gpu = one.environment.gpu
    block = published_block(graph, TARGETS[one.target], one.precision, gpu, medians)
    return dataclasses.replace(one, latency=figures, published=block)


def builds_with_results() -> list[str]:
    """The names of all builds that have results."""
    return sorted({path.parents[1].name for path in build_root().glob("*/results/*.json")})


def results_in(path: Path) -> list[Result]:
    """The results of another run: of a build folder, of one build in it, or of a JSON file.

    The file holds a result, a list of them, or one a line, as `--json` prints them. UserError where
    there is none; what cannot be read of a folder is left out with a sentence.
    """
    if path.is_dir():
        patterns = ("*/results/*.json", "results/*.json", "*.json")
        found = next((hits for one in patterns if (hits := sorted(path.glob(one)))), [])
        results = []
        for file in found:
            try:
                results += list(_read(file))
            except UserError as error:
                say(f"  left out: {error}")
        if not results:
            raise UserError(
                f"{shown(path)} holds no results; name a build folder that has them "
                "(<name>/results/*.json), or a JSON file (AGAINST=…)"
            )
        return _in_order(results)
    return _in_order(_read(path))


def _read(path: Path) -> Iterator[Result]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise UserError(f"{shown(path)}: there is no such file or folder (AGAINST=…)") from None
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} is no JSON file (AGAINST=…)") from None
    try:
        for value in _values(text):
            check_schema(value)
            yield decode(Result, value)
    except FormError as error:
        raise UserError(f"{shown(path)} is no file of results: {error}") from None


def _values(text: str) -> list[Any]:
    try:
        value = parse(text)
    except FormError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [parse(line) for line in lines]
    return value if isinstance(value, list) else [value]


def _in_order(results: Iterable[Result]) -> list[Result]:
    models = list(MODELS)

    def place(one: Result) -> tuple:
        rank = models.index(one.model) if one.model in models else len(models)
        return rank, one.name, column(one)

    return sorted(results, key=place)


def execution_word(one: Result) -> str:
    """The result's execution, and where that is more than its verdict what a simulation or an
    estimate would say."""
    word: str = one.execution
    if one.execution == SIMULATED and one.simulation and one.simulation != one.verdict:
        word = f"simulated, would {_WOULD[one.simulation]}"
    estimate = one.unlabelled.estimate if one.unlabelled else None
    if estimate and (one.simulation or one.verdict) == "undecided" != estimate.verdict:
        word += f"; by estimate would {_WOULD[estimate.verdict]}"
    return word


def tools(results: Sequence[Result]) -> list[str]:
    """The toolkit and the tools that measured, each with its versions."""
    found: dict[str, dict[str, None]] = {}
    for one in results:
        found.setdefault("toolkit", {})[one.toolkit] = None
        for name, version in (one.environment.versions or {}).items():
            found.setdefault(name, {})[version] = None
    return [f"{name} {', '.join(versions)}" for name, versions in sorted(found.items())]


def as_json_lines(results: Sequence[Result]) -> str:
    """The results as `results_in` reads them again, one a line."""
    return "".join(json.dumps(encode(one), ensure_ascii=False) + "\n" for one in results)
