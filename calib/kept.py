"""The INT8 file that was calibrated for a target: kept, with its photos, and found again.

`build/<model>/calibration/<target>/` has a folder for each artifact that belongs to the file, and
`calibration.json`, which says what it was made of. They are copies of the files in the places where
targets leave theirs: what takes those places later, as a search's attempts do, leaves these alone.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from calib.photos import Calibration
from calib.quant_config import QuantConfig
from calib.tensor_ranges import FILE as TENSORS
from calib.tensor_ranges import TensorRanges, read_tensor_ranges
from common import files
from common.console import say, shown
from common.errors import StepError, UserError
from common.paths import build_root
from common.strict_json import STRICT, FormError, decode, encode, parse
from convert.artifact import MANIFEST, Artifact, load, place
from data.hashes import content_hashes
from data.images import ImageSet, printable
from data.preprocess import Preprocess
from models.registry import find_model

INT8 = "int8"
SCHEMA = 1

_CALIBRATION = "calibration"
_FACTS = "calibration.json"
_IDENTITY = ("weights_sha256", "class_num", "input_shape")  # facts of an inference graph

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Photo:
    """A photo that calibrated, and its label, if it has one; `sha256` is its file's, "" where that
    could not be read."""

    path: str
    label: int | None = None
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PhotoSet:
    """The photos that calibrated: where they were found, which part of it they are, and each."""

    name: str
    source: str
    split: str
    sha256: Digest
    photos: tuple[Photo, ...]

    def __len__(self) -> int:
        return len(self.photos)

    @classmethod
    def of(cls, calibration: Calibration) -> "PhotoSet":
        images = calibration.images
        labels: Sequence[int | None] = images.labels or [None] * len(images)
        rows = zip(images.paths, labels, images.hashes, strict=True)
        return cls(
            name=images.name,
            source=calibration.source,
            split=calibration.split,
            sha256=images.sha256,
            photos=tuple(
                Photo(path=printable(path.absolute()), label=label, sha256=digest)
                for path, label, digest in rows
            ),
        )

    def reopened(self, skip_bad: bool, at_most: int | None = None) -> Calibration | None:
        """The same photos, or so many of them, to calibrate on again; None where one is gone."""
        paths = [Path(photo.path) for photo in self.photos]
        wanted = [photo.sha256 for photo in self.photos]
        if not all(path.is_file() for path in paths) or content_hashes(paths) != wanted:
            return None
        labels = [photo.label for photo in self.photos if photo.label is not None]
        images = ImageSet(self.name, paths, labels if len(labels) == len(paths) else None)
        few = images.spread(at_most) if at_most else images
        return Calibration(few, skip_bad, self.source, self.split)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Facts:
    """What an INT8 file was made of, and by what: `code` and `tools` are those that made it.

    `deployed` is the kind of the artifact that is deployed, and `files` has the sha256 of what is
    in it, by name.
    """

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    toolkit: str
    made: str
    weights_sha256: Digest
    class_num: int
    input_shape: tuple[int, ...]
    preprocess: Mapping[str, Any] | None = None  # as published, where it was not recorded yet
    opset: int
    method: str
    keep_float: tuple[str, ...]
    weight_bits: int
    photos: PhotoSet
    skip_bad: bool
    tools: Mapping[str, str]
    code: Digest
    deployed: str
    files: Mapping[str, Digest]

    @property
    def quant(self) -> QuantConfig:
        return QuantConfig(self.method, self.keep_float)

    def is_of(self, graph: Artifact) -> bool:
        """Whether it is about the weights that an inference graph has, and photos prepared alike.

        By the weights and not by the graph's key: the same checkpoint that a newer toolkit exports
        is the same model.
        """
        mine = (self.weights_sha256, self.class_num, list(self.input_shape))
        if mine != tuple(graph.facts[name] for name in _IDENTITY):
            return False
        if self.preprocess == graph.facts.get("preprocess"):
            return True
        published = find_model(graph.model).preprocess
        prepared = Preprocess.from_json(dict(self.preprocess)) if self.preprocess else published
        return prepared == graph.preprocess

    def __str__(self) -> str:
        in_float = f", {len(self.keep_float)} layers in float" if self.keep_float else ""
        digests = [f"{digest[:12]} ({name})" for name, digest in self.files.items()]
        if len(digests) == 1:
            digests = [digest[:12] for digest in self.files.values()]
        return (
            f"{self.method} on {len(self.photos)} photos of {self.photos.name}{in_float}, "
            f"sha256 {' and '.join(digests)}"
        )


class Kept:
    """A calibration in its folder."""

    def __init__(self, folder: Path, facts: Facts):
        self._folder = folder
        self.facts = facts

    @property
    def is_whole(self) -> bool:
        """Whether the deployed files are there as they were."""
        return self._deployed() is not None

    def put_back(self) -> Artifact:
        """The deployed artifact, in its place again."""
        found = self._deployed()
        assert found, f"{self._folder} was whole"
        return found if found.folder == self._place else place(found, self._place)

    @property
    def _place(self) -> Path:
        return self._folder.parents[1] / self.facts.deployed / INT8

    def _deployed(self) -> Artifact | None:
        for folder in (self._place, self._folder / self.facts.deployed):
            found = load(folder)
            if found and self.facts.files.items() <= found.digests().items():
                return found
        return None


def find(graph: Artifact, target: str) -> Kept | None:
    """The calibration that is kept for a target of a graph's build, of whichever weights."""
    folder = _folder(graph, target)
    _finish_replacing(folder)
    return _read(folder)


def _read(folder: Path) -> Kept | None:
    try:
        return Kept(folder, decode(Facts, parse((folder / _FACTS).read_text())))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except FormError as error:
        say(f"  {shown(folder / _FACTS)} is left out: {error}; calibrate again: make calibrate")
        return None


def calibrated(graph: Artifact) -> list[tuple[str, Facts]]:
    """What is kept of a graph's weights, by the names of the targets; the latest first."""
    found = [(name, kept.facts) for name, kept in _all_of(graph)]
    return sorted(found, key=lambda one: one[1].made, reverse=True)


def kept_folder(build: str, target: str) -> Path:
    """A target's calibration, whose artifacts have each a folder of their kind's name in it."""
    return build_root() / build / _CALIBRATION / target


def tensor_ranges(build: str, target: str, digests: Mapping[str, str]) -> TensorRanges | None:
    """The ranges of the kept calibration whose deployed files have these sha256; None where it is
    not kept, or has none that the toolkit knows (NNCF's own)."""
    folder = kept_folder(build, target)
    facts = files.read_json(folder / _FACTS)
    if not digests or not isinstance(facts, dict) or facts.get("files") != dict(digests):
        return None
    for path in sorted(folder.glob(f"*/{TENSORS}")):
        try:
            return read_tensor_ranges(path)
        except FormError as error:
            say(f"  {shown(path)} is left out: {error}; calibrate again: make calibrate")
    return None


def earlier_record(graph: Artifact, target: str) -> Path | None:
    """What a toolkit before 0.2.0 kept for a target, which is neither file nor photos; if any."""
    path = _folder(graph, target).with_suffix(".json")
    return path if path.is_file() else None


def keep(graph: Artifact, target: str, deployed: Artifact, facts: Facts) -> None:
    """Keep a file that was just made as the one that commands use for a target from now on.

    What was kept before moves into `calibration/replaced/`, and a line says so. Other targets'
    files that its making took the place of are put back.
    """
    _keep(graph, target, [deployed, *_made_of(deployed)], facts)


def take_in(folder: Path, graph: Artifact, targets: Sequence[str]) -> None:
    """Keep the files in `folder`, a copy of the folder that holds a build's calibrations, for those
    of these targets that have one there; what is kept of them already stays.

    UserError where there is none of a graph's weights, or one is damaged.
    """
    taken = 0
    for target in targets:
        there = _read(folder / target)
        if there is None or not there.facts.is_of(graph):
            continue
        parts = [load(path.parent) for path in sorted((folder / target).glob(f"*/{MANIFEST}"))]
        whole = [part for part in parts if part]
        deployed = [one for one in whole if one.manifest["kind"] == there.facts.deployed]
        if not deployed or not there.facts.files.items() <= deployed[0].digests().items():
            raise UserError(f"{folder / target}: the calibrated file is damaged; copy it again")
        taken += 1
        kept = find(graph, target)
        if not (kept and kept.is_whole and kept.facts.files == there.facts.files):
            _keep(graph, target, whole, there.facts)
    if not taken:
        raise UserError(
            f"{folder} has no file that was calibrated for {' or '.join(targets)} with the weights "
            f"of {graph.name}: give a copy of the folder {_CALIBRATION} of a build of them"
        )


def _keep(graph: Artifact, target: str, parts: Sequence[Artifact], facts: Facts) -> None:
    folder = _folder(graph, target)
    before = find(graph, target)
    replaced = before is not None and before.facts.files != facts.files
    with files.locked(folder.with_name(f".{target}.lock")):
        work, aside = _work(folder), folder.with_name(f".{target}.old")
        if replaced:
            aside = folder.with_name("replaced") / target
            aside.parent.mkdir(exist_ok=True)
        for leftover in (work, aside):
            shutil.rmtree(leftover, ignore_errors=True)
        for part in parts:
            place(part, work / part.manifest["kind"])
        files.write_json(work / _FACTS, encode(facts))
        if folder.exists():
            folder.rename(aside)
        work.rename(folder)
        if not replaced:
            shutil.rmtree(aside, ignore_errors=True)
    if before and replaced:
        say(f"  {target} int8: {facts} replaces {before.facts}, which is now in {shown(aside)}")
    for _, kept in _all_of(graph):
        if kept.is_whole:
            kept.put_back()


def source_of(deployed: Artifact, target: str, kind: str) -> Artifact:
    """The INT8 artifact of a kind that a target's deployed one was made of.

    It is in its place, or, where another target's has taken that, beside the kept calibration.
    StepError where it is in neither.
    """
    home = deployed.folder.parents[1]
    for folder in (home / kind / INT8, home / _CALIBRATION / target / kind):
        found = load(folder)
        if found and found.key in deployed.manifest["inputs"].values():
            return found
    raise StepError(
        f"what {shown(deployed.folder)} was made of is gone ({kind}); make both anew: RECALIBRATE=1"
    )


def _all_of(graph: Artifact) -> list[tuple[str, Kept]]:
    """The calibrations of a graph's weights, and the targets that they are for."""
    records = sorted(_folder(graph, "").glob(f"[!.]*/{_FACTS}"))
    found = [(path.parent.name, find(graph, path.parent.name)) for path in records]
    return [(name, kept) for name, kept in found if kept and kept.facts.is_of(graph)]


def _made_of(deployed: Artifact) -> Iterator[Artifact]:
    """The INT8 artifacts of the same build that an artifact was made of."""
    keys = deployed.manifest["inputs"].values()
    for manifest in sorted(deployed.folder.parents[1].glob(f"[!.]*/{INT8}/{MANIFEST}")):
        found = load(manifest.parent)
        if found and found.key in keys:
            yield found


def _folder(graph: Artifact, target: str) -> Path:
    return graph.folder.parents[1] / _CALIBRATION / target


def _work(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.new")


def _finish_replacing(folder: Path) -> None:
    """Do what a killed run left to be done between the two renames."""
    if not folder.exists() and (_work(folder) / _FACTS).exists():
        with contextlib.suppress(FileNotFoundError):  # another process did
            _work(folder).rename(folder)
