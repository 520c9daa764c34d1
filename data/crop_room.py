"""The limit of the cache's crops (`CACHE_GB`): what was used least recently makes room.

The order of use is a list, and no time stamps: a clock that is set back, or copied files, change
nothing of it. What a run reads or makes is spared, by locks that end with its process.
"""

import contextlib
from pathlib import Path

from common.console import say_once
from common.files import disk_bytes, locked, read_json, write_json
from common.paths import CACHE_GB, cache_limit
from data.crop_files import Entry, crops_folder

_GB = 1e9
_ORDER = "order-of-use"  # the keys, the latest last


def crop_bytes() -> dict[str, int]:
    """The bytes on disk of the cache's crops, half-made ones included, by their keys."""
    found: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in crops_folder().iterdir():
            key = path.name.lstrip(".").partition(".")[0]
            if path.suffix in (".npy", ".part"):
                with contextlib.suppress(FileNotFoundError):
                    found[key] = found.get(key, 0) + disk_bytes(path)
    return found


def note_use(key: str) -> None:
    """Make an entry the one that was used last. A cache that cannot be written stays as it is."""
    with contextlib.suppress(OSError), locked(_order_file().with_suffix(".lock")):
        order = _order()
        if order[-1:] != [key]:
            known = crop_bytes()
            write_json(_order_file(), [one for one in order if one != key and one in known] + [key])


def make_room(own: str, coming: int = 0) -> None:
    """Delete entries, those first that were used least recently, until the limit holds what stays.

    The entry `own`, which will take `coming` bytes (0: it is there), and what other runs read or
    make, is spared; a line says what was deleted, and another that what is spared is beyond the
    limit.
    """
    limit = cache_limit()

    def total() -> int:
        return sum((sizes | {own: coming or sizes.get(own, 0)}).values())

    sizes = crop_bytes()
    if total() <= limit:
        return
    freed = 0
    with contextlib.suppress(OSError), locked(crops_folder() / "room.lock"):
        sizes = crop_bytes()
        for key in _least_recent_first(sizes):
            if total() <= limit:
                break
            if key != own and Entry(key).remove():
                freed += sizes.pop(key)
    if freed:
        say_once(
            f"  the cache's photos: {_gigabytes(freed)} that were used least recently made room "
            f"({CACHE_GB}={limit / _GB:g})"
        )
    if total() > limit:
        say_once(
            f"  the cache's photos take {_gigabytes(total())}, more than {CACHE_GB}="
            f"{limit / _GB:g}: they are in use, and make room for those of later runs"
        )


def _gigabytes(size: int) -> str:
    return f"{size / _GB:.{1 if size >= _GB else 3}f} GB"


def _least_recent_first(sizes: dict[str, int]) -> list[str]:
    """The keys in the order of their last use; those that nobody noted come first."""
    order = {key: place for place, key in enumerate(_order())}
    return sorted(sizes, key=lambda key: order.get(key, -1))


def _order() -> list[str]:
    known = read_json(_order_file())
    return [str(key) for key in known] if isinstance(known, list) else []


def _order_file() -> Path:
    return crops_folder() / _ORDER
