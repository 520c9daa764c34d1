"""The photos that judge one model: decoded once, and what the reference makes of them."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import console, files
from common.errors import StepError
from common.mapped import save
from common.paths import build_root
from convert.artifact import Artifact
from data.crops import Crops, load_crops
from data.images import ImageSet, spread_rows
from data.photo_files import printable
from deploy.targets.paddle import REFERENCE
from runtimes.served.description import PHOTOS
from runtimes.session_pool import SessionSpec, open_sessions


@dataclass(frozen=True)
class Part:
    """Some photos of a set."""

    images: ImageSet
    crops: Crops
    rows: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray | None:
        return None if self.crops.labels is None else self.crops.labels[self.rows]

    @property
    def paths(self) -> list[Path]:
        """The photos' files, in order."""
        left_out = set(self.crops.skipped)
        kept = [path for path in self.images.paths if printable(path) not in left_out]
        return [kept[row] for row in self.rows]


class JudgingPhotos:
    """The photos, and those without labels beside them (`more`), where there are any.

    The reference's logits are kept beside the model's artifacts, for later runs on the same
    photos.
    """

    def __init__(
        self,
        graph: Artifact,
        images: ImageSet,
        more: ImageSet | None,
        skip_bad: bool,
    ):
        self._graph = graph
        self._images, self._more = images, more
        self._skip_bad = skip_bad
        self._references: dict[str, np.ndarray] = {}

    @functools.cached_property
    def crops(self) -> Crops:
        return self._decoded(self._images)

    @functools.cached_property
    def _more_crops(self) -> Crops | None:
        return self._decoded(self._more) if self._more else None

    def _decoded(self, images: ImageSet) -> Crops:
        with console.progress(f"decoding {images.name}", "photos") as progress:
            return load_crops(
                images, self._graph.preprocess, skip_bad=self._skip_bad, progress=progress
            )

    def parts(self, at_most: int | None) -> list[Part]:
        """The photos, and then those beside them; of each at most so many, evenly spread."""
        found = [Part(self._images, self.crops, spread_rows(len(self.crops), at_most))]
        if self._more and self._more_crops:
            rows = spread_rows(len(self._more_crops), at_most)
            found.append(Part(self._more, self._more_crops, rows))
        return found

    def batches(self, parts: list[Part], size: int) -> Iterator[np.ndarray]:
        """The network's input, float32 [n, 3, S, S], in batches of up to `size`."""
        for one in parts:
            yield from one.crops.batches(size, self._graph.preprocess, one.rows)

    def files(self, parts: list[Part], size: int) -> Iterator[list[str]]:
        """The photos' files, up to `size` at a time, for who prepares photos himself."""
        for one in parts:
            paths = [str(path.absolute()) for path in one.paths]
            for start in range(0, len(paths), size):
                yield paths[start : start + size]

    def reference(self, parts: list[Part]) -> np.ndarray:
        """The reference's logits, float32 [photos, classes], from an earlier run or a new one."""
        found = [self._reference_of(one) for one in parts]
        if len(parts) == 1 and len(parts[0]) == len(found[0]):
            return found[0]
        return np.concatenate([of[one.rows] for of, one in zip(found, parts, strict=True)])

    def _reference_of(self, part: Part) -> np.ndarray:
        known = self._references.get(part.crops.sha256)
        if known is None:
            known = self._references[part.crops.sha256] = self._kept_or_new(part)
        return known

    def _kept_or_new(self, part: Part) -> np.ndarray:
        path = self._reference_path(part)
        if path.exists():
            return np.load(path, mmap_mode="r")
        title = f"{self._graph.name} on the reference"
        whole = Part(part.images, part.crops, spread_rows(len(part.crops), None))
        logits, _ = self.run(REFERENCE, self._graph, "fp32", [whole], title)
        with files.atomic(path, "wb") as stream:
            save(stream, logits)
        return logits

    def kept_reference(self) -> Path:
        """The file with the reference's logits of the photos, made where it is not there."""
        [part, *_] = self.parts(None)
        self._reference_of(part)
        return self._reference_path(part)

    def _reference_path(self, part: Part) -> Path:
        facts = {"graph": self._graph.key, "crops": part.crops.sha256}
        return build_root() / self._graph.name / "reference" / f"{files.sha256_of(facts)[:16]}.npy"

    def run(
        self,
        session_spec: SessionSpec,
        artifact: Artifact,
        precision: str,
        parts: list[Part],
        title: str,
    ) -> tuple[np.ndarray, dict]:
        """Logits float32 [photos, classes] of some of the photos, and what computed them."""
        batches: Iterator = self.batches(parts, session_spec.batch)
        if artifact.facts.get("takes") == PHOTOS:
            batches = self.files(parts, session_spec.batch)
        with (
            open_sessions(session_spec, artifact.folder, precision) as sessions,
            console.progress(title, "photos") as progress,
        ):
            total = sum(map(len, parts))
            logits = sessions(batches, progress, total)
            require_logits(logits, total, self._graph.facts["class_num"], title)
            return logits, sessions.environment()


def require_logits(found: np.ndarray, photos: int, classes: int, title: str) -> None:
    """Raise StepError where what a file gives for so many photos is not logits [photos, classes]: a
    file that was changed, or that its runtime reads as another, may be another network."""
    if found.shape != (photos, classes):
        raise StepError(
            f"{title}: the file gives values of shape {list(found.shape)} for {photos} photos of "
            f"{classes} classes; make it anew"
        )
