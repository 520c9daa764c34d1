"""Which photos trained a checkpoint, and which were held out: `<name>.split.json` beside it.

docs/split.md gives the form. The photos are known by their contents (`data.contents`), and the
file belongs to one checkpoint, by its SHA-256.
"""

import contextlib
import functools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from common import files
from common.console import say_once, shown
from common.errors import UserError
from common.hashes import cached_sha256
from common.intervals import wilson_interval
from common.strict_json import STRICT, FormError, decode, encode, parse
from data.contents import Contents
from models.weights import Weights, weights_folder

SCHEMA = 1

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Photos:
    """Some photos: how many different ones, and their contents as text."""

    photos: Count
    contents: str

    @classmethod
    def of(cls, contents: Contents) -> "Photos":
        return cls(photos=len(contents), contents=str(contents))

    @functools.cached_property
    def known(self) -> Contents:
        """Their contents; FormError where the text is damaged."""
        try:
            found = Contents.parse(self.contents)
        except ValueError as error:
            raise FormError(f"contents: {error}") from None
        if len(found) != self.photos:
            raise FormError(f"contents has {len(found)} photos, not {self.photos}")
        return found


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HeldOutResult:
    """What the checkpoint got right of the photos held out; the interval is Wilson's, 95 %."""

    photos: Annotated[int, Field(ge=1)]
    right: Count
    top1: Share
    ci95: tuple[Share, Share]

    @classmethod
    def of(cls, right: int, photos: int) -> "HeldOutResult":
        low, high = wilson_interval(right, photos)
        return cls(photos=photos, right=right, top1=right / photos, ci95=(low, high))

    def __str__(self) -> str:
        """For example "82.4% (95 % interval 59.0% to 93.8%, 14 of 17 photos)"."""
        low, high = self.ci95
        return (
            f"{self.top1:.1%} (95 % interval {low:.1%} to {high:.1%}, {self.right} of "
            f"{self.photos} photos)"
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Split:
    """Which photos trained a checkpoint (also those of what it started from), which were held
    out, and what it got right of those.

    `data` is the name of the photos, `source` where they lay: a path, or the word of a built-in
    set.
    """

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)] = SCHEMA
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    made_by: Literal["adapt", "train"]
    data: str
    source: Annotated[str, Field(min_length=1)]
    training: Photos
    held_out: Photos
    result: HeldOutResult


def split_path(checkpoint: Path) -> Path:
    """Where the split of a checkpoint lies."""
    return checkpoint.with_name(f"{checkpoint.stem}.split.json")


def write_split(path: Path, split: Split) -> None:
    files.write_json(path, encode(split))


def read_split(path: Path) -> Split | None:
    """The split in a file, or None where there is no file; UserError where it is damaged."""
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise _unusable(path, "cannot be read") from None
    try:
        split = decode(Split, parse(text))
        assert split.training.known is not None
        assert split.held_out.known is not None
    except FormError as error:
        raise _unusable(path, f"is damaged ({error})") from None
    return split


def split_file(weights: Weights) -> Path | None:
    """Where the split of a checkpoint lies, or None where there is none.

    It is beside it; or, where the checkpoint was copied or renamed without, beside the same one
    under another name, in its folder or in that of all weights.
    """
    if weights.path is None:
        return None
    beside = split_path(weights.path)
    if beside.exists():
        return beside
    folders = (weights.path.absolute().parent, weights_folder().absolute())
    found = {path for folder in folders for path in folder.glob("*.split.json")}
    found |= set(folders[1].glob("*/*.split.json"))
    for path in sorted(found):
        with contextlib.suppress(OSError, UserError):
            if weights.sha256.encode() not in path.read_bytes():
                continue
            split = read_split(path)
            if split and split.checkpoint == weights.sha256:
                say_once(
                    f"  {shown(weights.path)}: the photos that trained it are those of the same "
                    f"checkpoint under another name ({shown(path)})"
                )
                return path
    return None


def split_beside(weights: Weights) -> Split | None:
    """The split that belongs to a checkpoint (see `split_file`), or None where there is none.

    UserError where it is damaged, or of another checkpoint.
    """
    path = split_file(weights)
    if path is None or weights.path is None:
        return None
    split = read_split(path)
    if split and split.checkpoint != cached_sha256(weights.path):
        raise _unusable(
            path,
            f"is of another checkpoint (sha256 {split.checkpoint[:12]}…) than "
            f"{weights.path.name} ({cached_sha256(weights.path)[:12]}…)",
        )
    return split


def _unusable(path: Path, fault: str) -> UserError:
    return UserError(
        f"{shown(path)} {fault}: it says which photos trained the checkpoint beside it, so that "
        "they do not judge; bring back the file that belongs there, train anew, or remove it: then "
        "no photo counts as seen in training"
    )
