"""The names of ImageNet's 1000 classes, which a Python package carries.

It is fetched through the package registry, checked, and kept in the user's cache; none of its code
runs.
"""

import zipfile

from common.registries.pypi import pypi_archive

CLASSES = 1000
SOURCE = "PaddleClas 2.6.0 (Apache-2.0)"

_ARCHIVE_SHA256 = "3c12fd8994d95ed1b4fd60017cdbc12bb0e77a41a7921b022e9a6fb5d287fe8a"
_MEMBER = "paddleclas/ppcls/utils/imagenet1k_label_list.txt"


def imagenet_classes() -> list[str]:
    """The classes' names in order, each with its synonyms ("tench, Tinca tinca").

    Not all are unique: two are a "crane". Downloaded on the first call; UserError where it cannot
    be had.
    """
    archive = pypi_archive("paddleclas", "2.6.0", _ARCHIVE_SHA256)
    with zipfile.ZipFile(archive) as wheel:
        lines = wheel.read(_MEMBER).decode().splitlines()
    return [line.split(" ", 1)[1] for line in lines]  # "0 tench, Tinca tinca"
