"""Photos whose decision changed, small enough for a page that is mailed."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.verdict.changes import Change

MOST = 24
_SIDE = 200  # pixels of the longer side


@dataclass(frozen=True)
class Photo:
    """A photo and its decisions, as the page shows them.

    `image` is a data URI, "" where the photo can no longer be read; `old` is the reference's
    decision, `new` who decides otherwise, and how.
    """

    image: str
    name: str
    model: str
    old: str
    new: list[tuple[str, str]]


def shown_photos(changes: Sequence[Change]) -> tuple[list[Photo], int]:
    """The first photos of these changes, at most `MOST`, each made small; and how many there are.

    Photos that builds of several checkpoints decide otherwise are there once for each.
    """
    photos: dict[tuple[str, str], list[Change]] = {}
    for one in changes:
        photos.setdefault((one.path, one.model), []).append(one)
    found = [_photo(those) for those in list(photos.values())[:MOST]]
    return found, len(photos)


def _photo(those: Sequence[Change]) -> Photo:
    first = those[0]
    new: dict[str, list[str]] = {}
    for one in those:
        decided = _decision(one.new, one.new_class, one.new_probability, one.label)
        new.setdefault(decided, []).append(f"{one.target} {one.precision}")
    return Photo(
        image=_thumbnail(Path(first.path)),
        name=Path(first.path).name,
        model=first.model,
        old=_decision(first.old, first.old_class, first.old_probability, first.label),
        new=[(", ".join(who), decided) for decided, who in new.items()],
    )


def _decision(
    number: int | None, name: str | None, probability: float | None, label: int | None
) -> str:
    if number is None or probability is None:
        return "no decision: a logit is not finite"
    right = "" if label is None else ", right" if number == label else ", wrong"
    return f"{name or f'class {number}'} ({100 * probability:.0f} %{right})"


def _thumbnail(path: Path) -> str:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as photo:
            photo.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            small = ImageOps.exif_transpose(photo).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    small.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
