"""Photos streamed into a network, some at a time and uncached, so that any number of them fits."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.console import progress
from common.temporary import temporary_folder
from data.crops import refuse_lost
from data.decode_many import decode_many
from data.images import ImageSet
from data.preprocess import Preprocess

CHUNK = 256  # photos decoded at a time: 39 MB of crops of 224 pixels
BATCH = 8  # photos in the network at a time: 1.4 times as fast as 32 on SqueezeNet (cache)


@dataclass
class Stream:
    """Photos as a network takes them, some at a time, so that any number of them fits.

    They are not cached: fifty thousand crops would take 7.5 GB of disk, and most sets to train on
    are gone through once. Photos that cannot be read are left out and gathered in `bad`; unless
    `skip_bad` says that this is meant, the pass ends with a UserError that names them.
    """

    images: ImageSet
    preprocess: Preprocess
    skip_bad: bool = False
    bad: dict[int, str] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        return np.array(self.images.truth)

    def batches(
        self, rows: Sequence[int] | np.ndarray, title: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows [n] and the input for them, float32 [n, 3, S, S]; n is at most BATCH."""
        with progress(title, "photos") as update:
            done = 0
            for kept, crops in self._chunks(rows):
                for start in range(0, len(kept), BATCH):
                    batch = slice(start, start + BATCH)
                    yield kept[batch], self.preprocess.normalize(crops[batch])
                    update(done + start, len(rows))
                done += len(kept)
        lost = [(self.images.paths[row], reason) for row, reason in self.bad.items()]
        lost += self.images.left_out.items()
        refuse_lost(self.images, lost, self.skip_bad)

    def _chunks(self, rows: Sequence[int] | np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and crops uint8 [n, S, S, 3]; none any more once the pass is bound to fail."""
        side = self.preprocess.crop
        with temporary_folder() as folder:
            file = folder / "crops"
            for start in range(0, len(rows), CHUNK):
                part = np.asarray(rows[start : start + CHUNK])
                file.write_bytes(b"")
                os.truncate(file, len(part) * side * side * 3)
                bad = decode_many(
                    [self.images.paths[row] for row in part], self.preprocess, file, 0
                )
                self.bad |= {int(part[place]): why.reason for place, why in bad.items()}
                if self.bad and not self.skip_bad:
                    continue  # to name them all
                crops = np.fromfile(file, np.uint8).reshape(-1, side, side, 3)
                kept = [place for place in range(len(part)) if place not in bad]
                yield part[kept], crops[kept]
