"""The page of a package that says how a program of one's own runs it."""

from collections.abc import Iterable, Mapping, Sequence
from string import Template
from typing import Any

from data.preprocess import Preprocess
from deploy.targets.base import Guide
from deploy.verdict.gates import MAX_RELATIVE
from deploy.verdict.result import Result

FILE = "README.md"
_WHITE = 255.0  # of a byte


def guide_page(
    guide: Guide, manifest: Mapping[str, Any], preprocess: Preprocess, results: Sequence[Result]
) -> str:
    """The page, in Markdown.

    `manifest` is the package's, `results` are those of its very files. The page's mean and scale
    are of a byte: (value - mean) * scale.
    """
    judged = list(dict.fromkeys(filter(None, (one.environment.threads for one in results))))
    return Template(guide.page.read_text()).substitute(
        guide.words(manifest["precision"]),
        name=manifest["name"],
        precision=manifest["precision"],
        version=manifest["engine_version"],
        side=preprocess.crop,
        classes=manifest["class_num"],
        mean=_floats(_WHITE * mean for mean in preprocess.mean),
        scale=_floats(1 / (_WHITE * std) for std in preprocess.std),
        count=manifest["data"]["images"],
        threads=f" (judged with {' and '.join(map(str, judged))})" if judged else "",
        gate=_gate(manifest["gate"]),
    )


def _floats(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.9g}f" for value in values)


def _gate(kind: str) -> str:
    if kind == "numeric":
        return (
            f"The largest difference of a photo's logits is to be at most {MAX_RELATIVE:g} of its "
            "largest logit."
        )
    return "MODEL_CARD.md says how far these files may be from them."
