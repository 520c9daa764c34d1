"""The SHA-256 of big files, remembered, so that an unchanged file is not read again."""

import contextlib
import hashlib
import re
import time
from pathlib import Path
from typing import Any

from common import files
from common.paths import cache_root

# A file that changed within this time could change again under the same time stamp, since
# kernels stamp files in ticks of some milliseconds (and some file systems in seconds).
SETTLED_NS = 2_000_000_000


def is_digest(value: Any) -> bool:
    """Whether a value is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def cached_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read again only after the file has changed.

    One small note per file lies in the user's cache, so processes never wait for each other. A
    cache that cannot be written costs time, not the answer.
    """
    path = path.resolve()
    stamp = files.stamp(path)
    note = cache_root() / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"
    known = files.read_json(note)
    if isinstance(known, dict) and known.get("stamp") == stamp and is_digest(known.get("sha256")):
        return known["sha256"]
    digest = files.sha256(path)
    settled = time.time_ns() - path.stat().st_ctime_ns > SETTLED_NS
    if settled and files.stamp(path) == stamp:
        with contextlib.suppress(OSError):
            files.write_json(note, {"path": str(path), "stamp": stamp, "sha256": digest})
    return digest
