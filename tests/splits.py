"""Splits of checkpoints, made by hand."""

from collections.abc import Iterable
from pathlib import Path

from common import files
from data.contents import Contents
from models import split as splits
from models.split import HeldOutResult, Photos, Split


def write_split(
    weights: Path, trained: Iterable[str], held_out: Iterable[str] = (), **changes
) -> Path:
    """Write beside a checkpoint that photos of these SHA-256 trained it, and 4 of 5 were right."""
    facts = {
        "checkpoint": files.sha256(weights),
        "made_by": "adapt",
        "data": "photos",
        "source": "/photos",
        "training": Photos.of(Contents.of(trained)),
        "held_out": Photos.of(Contents.of(held_out)),
        "result": HeldOutResult.of(4, 5),
    }
    path = splits.split_path(weights)
    splits.write_split(path, Split(**facts | changes))
    return path
