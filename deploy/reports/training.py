"""How the checkpoints were trained: the page's part on training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import markupsafe
import matplotlib as mpl
import matplotlib.ticker

from common.console import say
from common.errors import UserError
from convert.builds import exported
from deploy.reports import drawing
from models.training_log import Course, course_of
from models.weights import Weights

_HIGH = (1.7, 1.3, 0.7)  # inches: loss, top-1, learning rate


@dataclass(frozen=True)
class Trained:
    """A build whose checkpoint was trained here, and its curves."""

    name: str
    said: str
    plot: markupsafe.Markup


def trained(names: Iterable[str]) -> Iterator[Trained]:
    """The builds among these whose training's folder is still there."""
    for name in names:
        course = _course(name)
        if course:
            kept = next(one for one in course.epochs if one.number == course.kept)
            yield Trained(
                name,
                f"{len(course.epochs)} epochs, of the run {course.folder.name}; the checkpoint is "
                f"that of epoch {course.kept}, with {100 * kept.top1:.1f} % of the held-out photos "
                "right.",
                _plot(course),
            )


def _course(name: str) -> Course | None:
    graph = exported(name)
    path = graph.facts["weights_path"] if graph else None
    if graph is None or path is None:
        return None
    try:
        return course_of(Weights(graph.model, "file", Path(path), graph.facts["weights_sha256"]))
    except UserError as error:
        say(f"  {name}: its training is left out: {error}")
        return None


def _plot(course: Course) -> markupsafe.Markup:
    numbers = [one.number for one in course.epochs]
    dots = {"marker": "o", "markersize": 4} if len(numbers) < 60 else {}
    with drawing.style():
        figure, (loss, top1, lr) = drawing.stacked(0.8, _HIGH)
        if course.steps:
            steps = zip(*course.steps, strict=True)
            loss.plot(*steps, color=drawing.TEXT, alpha=0.4, linewidth=0.8, label="of steps")
        losses = [one.loss for one in course.epochs]
        loss.plot(numbers, losses, color=drawing.ACCENT, label="mean of the epoch", **dots)
        loss.legend(frameon=False, fontsize=8)
        loss.set_ylabel("loss")
        right = [100 * one.top1 for one in course.epochs]
        top1.plot(numbers, right, color=drawing.PASS, **dots)
        at = numbers.index(course.kept)
        ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none"}
        top1.plot(course.kept, right[at], color=drawing.TEXT, **ring)
        top1.annotate("kept", (course.kept, right[at]), (8, -12), textcoords="offset points")
        top1.set_ylabel("held-out top-1, %")
        lr.plot(numbers, [one.lr for one in course.epochs], color=drawing.OPEN, **dots)
        lr.set_ylabel("rate")
        lr.set_xlabel("epochs")
        lr.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        return drawing.svg(figure, "Loss, top-1 and learning rate by epoch")
