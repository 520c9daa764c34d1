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

    `image` is a data URI, "" where the photo can no longer be read.
    """

    image: str
    name: str
    who: str
    old: str
    new: str


def shown_photos(changes: Sequence[Change]) -> list[Photo]:
    """The first of these changes, at most `MOST`, each with its photo made small."""
    return [
        Photo(
            image=_thumbnail(Path(one.path)),
            name=Path(one.path).name,
            who=f"{one.model} {one.target} {one.precision}",
            old=_decision(one.old, one.old_class, one.old_probability),
            new=_decision(one.new, one.new_class, one.new_probability),
        )
        for one in changes[:MOST]
    ]


def _decision(number: int | None, name: str | None, probability: float | None) -> str:
    if number is None or probability is None:
        return "no decision: a logit is not finite"
    return f"{name or f'class {number}'} ({100 * probability:.0f} %)"


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
