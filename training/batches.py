"""Photos to train on, augmented and mixed in processes of their own, step by step."""

import signal
import time
from collections.abc import Iterator

import numpy as np

from common import machine, process
from common.errors import UserError
from data.decode import BadPhotoError, decode_photo
from data.images import printable
from training.augmentation import mix, soft_targets
from training.plan import MIX, ORDER, PHOTO, Plan

_MOST_WORKERS = 16


class _Samples:
    """The photos as augmented crops, by (epoch, row); runs in the loader's processes."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._augment = plan.recipe.augmentation

    def __len__(self) -> int:
        return len(self._plan.training)

    def __getitem__(self, place: tuple[int, int]) -> tuple[np.ndarray, int, bool]:
        """A crop, uint8 [S, S, 3], its row, and whether the photo could be read."""
        epoch, row = place
        try:
            rgb = decode_photo(self._plan.training.paths[row].read_bytes())
        except (BadPhotoError, OSError):
            side = self._plan.recipe.crop
            return np.zeros((side, side, 3), np.uint8), row, False
        return self._augment(rgb, self._plan.random(PHOTO, epoch, row)), row, True


class _Order:
    """Which photos make up the batches of all the epochs from `first` on, on one device."""

    def __init__(self, plan: Plan, first: int, rank: int):
        self._plan, self._first, self._rank = plan, first, rank

    def __len__(self) -> int:
        return (self._plan.recipe.epochs - self._first) * self._plan.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        plan = self._plan
        for epoch in range(self._first, plan.recipe.epochs):
            rows = plan.random(ORDER, epoch).permutation(len(plan.training))
            for step in range(plan.steps):
                start = (step * plan.devices + self._rank) * plan.batch
                yield [(epoch, int(row)) for row in rows[start : start + plan.batch]]


def _stacked(samples: list[tuple[np.ndarray, int, bool]]) -> list[np.ndarray]:
    crops, rows, readable = zip(*samples, strict=True)
    return [np.stack(crops), np.array(rows), np.array(readable)]


def _settle_worker(_worker: int) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, which ends these
    # Waiting to hand over a photo, a process would outlive a training that was killed.
    process.end_with_parent(signal.SIGKILL)
    cv2.setNumThreads(0)  # one core per process; and OpenCV's threads do not survive the fork


def training_batches(
    plan: Plan, first: int, rank: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos float32 [n, 3, S, S] and targets float32 [n, classes], step by step, from an epoch on.

    n is `plan.batch`, less what could not be read where that is to be skipped.
    """
    import paddle

    # One loader for all epochs: its processes start once, and work ahead into the next epoch.
    loader = paddle.io.DataLoader(
        _Samples(plan),
        batch_sampler=_Order(plan, first, rank),
        collate_fn=_stacked,
        num_workers=min(_MOST_WORKERS, max(1, machine.threads() // plan.devices - 1)),
        worker_init_fn=_settle_worker,
        # Shared memory would stay where a training is killed, and containers have little of it;
        # the way through a pipe takes a fiftieth of the time that decoding takes.
        use_shared_memory=False,
        places=paddle.CPUPlace(),
    )
    labels = np.array(plan.training.truth)
    recipe = plan.recipe
    for number, batch in enumerate(loader):
        crops, rows, readable = (value.numpy() for value in batch)
        if not readable.all():
            _require_readable(plan, rows, readable)
            crops, rows = crops[readable], rows[readable]
        epoch, step = divmod(number, plan.steps)
        yield mix(
            plan.spec.preprocess.normalize(crops),
            soft_targets(labels[rows], plan.classes, recipe.label_smoothing),
            plan.random(MIX, first + epoch, step, rank),
            recipe.mixup,
            recipe.cutmix,
            recipe.switch_probability,
        )


def _require_readable(plan: Plan, rows: np.ndarray, readable: np.ndarray) -> None:
    if plan.skip_bad and readable.any():
        return
    path = plan.training.paths[rows[~readable][0]]
    try:
        decode_photo(path.read_bytes())
        reason = "could not be read a moment ago"
    except (BadPhotoError, OSError) as error:
        reason = str(error)
    raise UserError(
        f"{printable(path)} cannot be read ({reason}); repair or remove it, or go on without such "
        "photos with --skip-bad"
    )


class Waited:
    """An iterator that counts the seconds that were spent waiting for its next item."""

    def __init__(self, items: Iterator):
        self._items, self.seconds = items, 0.0

    def __next__(self):
        begun = time.monotonic()
        try:
            return next(self._items)
        finally:
            self.seconds += time.monotonic() - begun
