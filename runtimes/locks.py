"""Lock files of Python's packages: every line has a version and the sha256 of its files, and none
says where they are from. Standard library only, as `make setup` is.
"""

import re
from pathlib import Path

from common import process
from common.errors import UserError

# A name, a version, perhaps "; a marker", and at least one hash.
_LINE = re.compile(
    r"[\w.-]+(?:\[[\w,.-]+\])?==[^\s;]+(?: ; [^\\]+?)?(?: --hash=sha256:[0-9a-f]{64})+"
)
# What pip and uv say of a file that is another one.
_TOLD = (
    re.compile(r"^ +(\S+==\S+) from .*\n +Expected sha256 .*\n(?: +or .*\n)* +Got +(\w+)", re.M),
    re.compile(r"Hash mismatch for `(.+?)`[^`]*?Computed:\s+sha256:(\w+)", re.S),
)


def check_lock(lock: Path) -> None:
    """Raise UserError for the first line of a lock file that an installer would take on trust."""
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.M)
    for line in re.sub(r" ?\\\n\s*", " ", text).splitlines():
        if line.strip() and not _LINE.fullmatch(line.rstrip()):
            raise UserError(
                f"{lock} has a line that is no version with its sha256: {line.strip()[:80]}; make "
                "the file anew (make lock), or take it from where the toolkit is from"
            )


def other_file(done: process.Completed) -> str | None:
    """The sentence where a registry's file is not the one in the lock; None where that is not what
    an installer complains of."""
    for form in _TOLD:
        if found := form.search(done.printed):
            return (
                f"the registry's file of {found[1]} is not the one that is locked: its sha256 is "
                f"{found[2]}; nothing of it was installed; see which registry is set up"
            )
    return None
