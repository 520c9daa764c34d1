"""Which photos judge a checkpoint: none that trained it, unless the user asks to see them too."""

import numpy as np

from common.console import say
from common.errors import UserError
from data.images import ImageSet, judged_split
from models.split import Split


def open_judging(
    source: str, class_num: int, split: Split | None, allow_seen: bool = False
) -> ImageSet:
    """The photos at `source` that may judge a checkpoint with this split (None: nothing is known).

    What trained it is left out, and counted in a line; UserError where nothing else is there.
    """
    images = ImageSet.open(source, class_num, judged_split(source))
    if split is None or allow_seen:
        return images
    seen = split.training.known.has(images.hashes)
    if seen.all():
        raise UserError(
            f"{images.name}: all {len(images)} photos trained this checkpoint, so they cannot "
            f"judge it; its honest figure is that on the photos which make {split.made_by} "
            f"held out ('{split.data}'): top-1 {split.result}; give other photos "
            "(DATA=folder), or show these, marked as seen in training: ALLOW_SEEN=1"
        )
    if seen.any():
        say(
            f"  {images.name}: {seen.sum()} of {len(images)} photos trained this checkpoint and "
            f"are left out; {len(images) - seen.sum()} can judge"
        )
    return images.take(np.flatnonzero(~seen))
