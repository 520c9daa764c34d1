"""Which photos are of a build's own classes."""

from collections.abc import Sequence

from common.console import say
from convert.builds import Chosen
from data import imagenet
from data.images import CIFAR10, DEMO
from deploy.request.building import class_count, known_split
from deploy.request.values import Files


def with_photos(builds: Sequence[Chosen], data: str | None) -> list[Chosen]:
    """The builds that some photos can judge; the others are named.

    `data` is as the user named it. None: each checkpoint's own photos, where they are known, else
    the demo's. Of photos in a folder nothing is known before they are opened, so all builds stay.
    """
    known = _built_in_classes(data or DEMO)
    if known is None:
        return list(builds)
    fitting = [
        one
        for one in builds
        if class_count(one, Files()) == known or (data is None and known_split(one, Files()))
    ]
    others = [one.folder for one in builds if one not in fitting]
    if others:
        say(
            f"  skipped, with other classes than the {known} of {data or DEMO}'s photos: "
            f"{', '.join(others)}; DATA=folder names theirs"
        )
    return fitting


def _built_in_classes(data: str) -> int | None:
    if data == DEMO:
        return imagenet.CLASSES
    if data == CIFAR10:
        from data.cifar10 import CLASSES  # here: --help needs no numpy

        return len(CLASSES)
    return None
