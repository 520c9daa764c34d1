"""Which known mistake in preparing photos explains what a server answers.

A mistake explains a photo where the reference, given the photo with that mistake, is much nearer to
the server's logits than given the right one: at a quarter of the distance at most. So the test
needs no threshold for what the server's precision costs, which both distances have in them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from common import console
from convert.artifact import Artifact
from data import mistakes
from data.images import spread_rows
from data.mistakes import Mistakes
from deploy.targets.paddle import REFERENCE
from deploy.verdict.drift import decisions
from deploy.verdict.judging_photos import Part
from deploy.verdict.result import Mistake
from runtimes.served.description import PHOTOS
from runtimes.session_pool import SessionPool, open_sessions

_NEARER = 0.25
_FEW = 4  # photos that all mistakes are tried on
_MOST = 32  # photos that one is confirmed on


@dataclass(frozen=True)
class Found:
    """The mistake that explains a server's answers, if one does, and a clause that says so."""

    mistake: Mistake | None
    clause: str


def find_mistake(
    graph: Artifact,
    parts: Sequence[Part],
    takes: str,
    reference: np.ndarray,
    served: np.ndarray,
    failed: bool,
) -> Found:
    """Look for the mistake that explains logits [photos, classes] of a server that takes photo
    files or tensors: of the photos whose decision changed, or, where none did and the gate has
    `failed`, of those that moved most."""
    if failed and _are_probabilities(served) and not _are_probabilities(reference):
        said = "the server answers probabilities, which sum to 1: serve it without its softmax"
        return Found(None, f"; {said}, so that its logits can be judged")
    changed = np.flatnonzero(decisions(reference) != decisions(served))
    moved = _distance(reference, served)
    what = "changed decisions"
    if not len(changed) and failed:
        changed, what = np.argsort(-moved, kind="stable")[:_MOST], "photos that moved most"
        changed = np.sort(changed[moved[changed] > 0])
    rows = changed[spread_rows(len(changed), _MOST)]
    if not len(rows):
        return Found(None, "")
    search = _Search(graph, parts, takes, served, moved)
    with open_sessions(REFERENCE, graph.folder, "fp32") as sessions:
        made = search.best(sessions, rows)
        explained = search.explains(sessions, [made], rows)[0] if made else np.zeros(0, bool)
    if made is None or 2 * explained.sum() < len(rows):
        if not failed:  # as INT8, which changes some decisions by itself
            return Found(None, "")
        tried = f"none of {search.known} known ways to prepare photos wrongly, alone or by twos"
        guess = "is it another checkpoint, or are its classes in another order?"
        return Found(None, f"; {tried}, explains the {what}: {guess}")
    words = ", and ".join(one.words for one in made)
    found = Mistake(words=words, tried=len(rows), explained=int(explained.sum()))
    who = (
        "the server prepares photos wrongly" if takes == PHOTOS else "the server changes its input"
    )
    of = f"{found.tried} {what}"
    if len(rows) < len(changed):
        of = f"the {found.tried} that were tried of {len(changed):,} {what}"
    return Found(found, f"; {who}: {words}, which explains {found.explained} of {of}")


class _Search:
    """Tries mistakes on some of the photos."""

    def __init__(
        self,
        graph: Artifact,
        parts: Sequence[Part],
        takes: str,
        served: np.ndarray,
        moved: np.ndarray,
    ):
        self._preprocess = graph.preprocess
        self._places = [(one, at) for one in parts for at in range(len(one))]
        self._from_files = takes == PHOTOS
        self._served, self._moved = served, moved
        table = mistakes.of_photos if self._from_files else mistakes.of_inputs
        self._mistakes = table(graph.preprocess)

    @property
    def known(self) -> int:
        return len(self._mistakes)

    def best(self, sessions: SessionPool, rows: np.ndarray) -> Mistakes | None:
        """The mistake, or else the pair, that explains the most of a few of the photos."""
        few = rows[spread_rows(len(rows), _FEW)]
        for candidates in (mistakes.singles(self._mistakes), mistakes.pairs(self._mistakes)):
            explained = self.explains(sessions, candidates, few)
            counts = explained.sum(axis=1)
            if counts.max() * 2 >= len(few):
                return candidates[int(counts.argmax())]
        return None

    def explains(
        self, sessions: SessionPool, candidates: Sequence[Mistakes], rows: np.ndarray
    ) -> np.ndarray:
        """Which of the photos each candidate explains, bool [candidates, photos]; where several
        explain one, the nearest alone."""
        title, total = "looking for what the server does", len(candidates) * len(rows)
        with console.progress(title, "inputs") as progress:
            logits = sessions(self._inputs(candidates, rows), progress, total)
        logits = logits.reshape(len(rows), len(candidates), -1)
        distance = np.stack(
            [_distance(logits[:, at], self._served[rows]) for at in range(len(candidates))]
        )
        near = np.isfinite(distance) & (distance <= _NEARER * self._moved[rows])
        return near & (distance == distance.min(axis=0))

    def _inputs(self, candidates: Sequence[Mistakes], rows: np.ndarray) -> Iterator[np.ndarray]:
        """The inputs of each photo, one with each mistake, in batches float32 [n, 3, S, S]."""
        for row in rows:
            make = self._maker(row)
            for start in range(0, len(candidates), REFERENCE.batch):
                yield np.stack(list(map(make, candidates[start : start + REFERENCE.batch])))

    def _maker(self, row: int) -> Callable[[Mistakes], np.ndarray]:
        """What gives the input float32 [3, S, S] of a photo with some mistakes."""
        part, at = self._places[row]
        if self._from_files:
            rgb = self._preprocess.decode(part.paths[at].read_bytes())
            return lambda made: mistakes.prepared(rgb, self._preprocess, made)
        [right] = part.crops.batches(1, self._preprocess, [part.rows[at]])
        return lambda made: mistakes.received(right, made)[0]


def _are_probabilities(logits: np.ndarray) -> bool:
    return bool((logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3))


def _distance(logits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each photo's logits are from others: max|a - b| / max|a|, infinite where one is."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(logits.astype(np.float64) - others).max(axis=1)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    return apart / np.maximum(np.abs(logits).max(axis=1), np.finfo(np.float32).tiny)
