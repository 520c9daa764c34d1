"""Photos without labels for the demo: those that the packages hold which it fetches anyway.

There are 90: CIFAR's thumbnails in the two packages that the labelled photos come from, and three
larger ones in packages of the environment.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from common.errors import UserError
from common.files import atomic_folder, locked
from common.paths import cache_root
from data.demo import FOOLBOX, ROBUST_VISION, digest, photos_in

# Labels are in the names of the thumbnails; they are of other classes, and mean nothing here.
_THUMBNAILS = (  # 32x32 PNG
    (ROBUST_VISION, r"[^/]+/data/cifar/(?P<file>[0-9a-f]+_[0-9]{4}\.png)"),
    (FOOLBOX, r"foolbox/data/(?P<file>cifar100?_[0-9]{2}_[0-9]+\.png)"),
)
# Photos in installed packages: two of scikit-learn's (CC BY 2.0: danielbuechele, vultilion), and
# one of matplotlib's, of the US Navy's (public domain).
_INSTALLED = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
_SHA256 = "07c3d31b934fb7826455ac054a20edce902d9072c8ed5f623f4e6143750a4477"  # as `digest` has it


def demo_more_photos() -> Path:
    """A folder with the photos, made on the first call; UserError where they cannot be had."""
    folder = cache_root() / "demo-more"
    if digest(folder) != _SHA256:
        with locked(folder.with_suffix(".lock")):
            if digest(folder) != _SHA256:
                _gather(folder)
    return folder


def _gather(folder: Path) -> None:
    """Collect the photos beside `folder`, and put them in its place once they are right."""
    with atomic_folder(folder) as scratch:
        contents = set()
        for name, data in _photos():
            if data not in contents:  # some are in both packages
                contents.add(data)
                (scratch / name).write_bytes(data)
        if digest(scratch) != _SHA256:
            raise UserError(
                "the demo's photos without labels are not the expected ones; remove "
                f"{folder.parent / 'packages'} and .venv, and run again: make demo"
            )


def _photos() -> Iterator[tuple[str, bytes]]:
    """Name and content of each photo."""
    for package, pattern in _THUMBNAILS:
        yield from photos_in(package.archive(), pattern)
    for name, photo in _INSTALLED:
        found = importlib.util.find_spec(name)  # which does not import it
        for home in (found.submodule_search_locations if found else None) or ():
            path = Path(home) / photo
            if path.is_file():
                yield path.name, path.read_bytes()
