"""The accuracy of logits on labelled photos, and the classes that they get wrong most."""

from typing import Any

import numpy as np

from common.intervals import wilson_interval

_WORST = 5


def accuracy(
    logits: np.ndarray, labels: np.ndarray, class_names: list[str] | None
) -> dict[str, Any]:
    """Top-1 and top-5 with Wilson's 95 % intervals, and the classes with the worst recall.

    `logits` float32 [N, classes], `labels` int64 [N]. A photo with a logit that is not finite has
    no decision, and is wrong. A class without photos has no recall; of classes with equal recall
    the one with more photos is named first.
    """
    ranked = np.argsort(-logits, axis=1, kind="stable")  # of equal logits the lower class wins
    decided = np.isfinite(logits).all(axis=1)
    hits = (ranked == labels[:, None]) & decided[:, None]
    right = hits[:, 0]
    worst: list[dict[str, Any]] = []
    for label in np.unique(labels):
        of_class = labels == label
        wrong = ranked[of_class & ~right & decided, 0]
        rival = _name(int(np.bincount(wrong).argmax()), class_names) if len(wrong) else None
        worst.append(
            {
                "class": _name(label, class_names),
                "photos": int(of_class.sum()),
                "recall": float(right[of_class].mean()),
                "taken_for": rival,
            }
        )
    worst.sort(key=lambda entry: (entry["recall"], -entry["photos"]))
    return {
        "top1": _share(right),
        "top5": _share(hits[:, :5].any(axis=1)),
        "worst_classes": [entry for entry in worst if entry["recall"] < 1][:_WORST],
    }


def _share(right: np.ndarray) -> dict[str, Any]:
    count = int(right.sum())
    return {"share": count / len(right), "ci95": list(wilson_interval(count, len(right)))}


def _name(label: int, class_names: list[str] | None) -> str:
    return class_names[label] if class_names else str(label)
