"""Debian's packages for ARM64, by version and hash: requirements/arm-debian.txt.

    python runtimes/debian.py      write it anew, of what arm-debian.in names (a part of make lock)

They come through apt, from the sources that this machine's apt is set up for, into folders of their
own: it takes no root rights, and the system learns of no foreign architecture. Debian keeps the
newest version of a package only. Where the archive has moved on from a version here, its own is
taken, which apt has checked against the archive's signature, and a line says so, with its hash.
"""

import re
import sys
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import files, process
from common.cli import Exit, Parser, run
from common.console import say
from common.errors import UserError
from common.paths import ROOT

LOCK = ROOT / "requirements" / "arm-debian.txt"
_WANTED = LOCK.with_suffix(".in")
_HEAD = (
    f"# The newest of {_WANTED.name}'s packages for ARM64 in Debian, when `make lock` was run.\n"
)
_LINE = re.compile(r"([^=\s]+)=(\S+) sha256:([0-9a-f]{64})")
_LIMIT = 1800.0
# apt of its own: nothing of the system's state is read but its sources, keys and proxies. (Started
# by root it would fetch as a user that may not write here.)
_CONFIGURATION = """
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
"""


@dataclass(frozen=True)
class Package:
    """A package's name, its version, and the sha256 of its file."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, file: str, sha256: str) -> "Package":
        """By the name of its file: zlib1g_1%3a1.2.13_arm64.deb."""
        name, version, _ = file.split("_")
        return cls(name, urllib.parse.unquote(version), sha256)


def fetch(folder: Path, remedy: str) -> list[Path]:
    """Fetch the lock's packages into an empty folder; returns their files.

    Raises UserError where apt fails (then `remedy` says what else would do), or where a file of the
    version in the lock is another one.
    """
    apt = _Apt(folder, remedy)
    locked = {package.name: package for package in read_lock()}
    there = apt.versions(list(locked))
    apt.run(
        "apt-get",
        "download",
        *(
            f"{one.name}={one.version}" if (one.name, one.version) in there else one.name
            for one in locked.values()
        ),
    )
    archives = sorted(apt.packages.glob("*.deb"))
    for archive in archives:
        _require_known(archive.name, Package.of(archive.name, files.sha256(archive)), locked)
    return archives


def read_lock() -> list[Package]:
    """The packages in the lock, in its order."""
    found = []
    for line in LOCK.read_text().splitlines():
        if not line.startswith("#"):
            fields = _LINE.fullmatch(line)
            if fields is None:
                raise UserError(
                    f"{LOCK} has a line that is no version with its sha256: {line[:80]}; make the "
                    "file anew (make lock), or take it from where the toolkit is from"
                )
            found.append(Package(*fields.groups()))
    return found


def _require_known(file: str, found: Package, locked: dict[str, Package]) -> None:
    """Refuse another file of the version that is locked; tell of another version."""
    known = locked[found.name]
    if found.version != known.version:
        say(
            f"  .arm: {found.name} {found.version}: apt's sources no longer have {known.version} "
            f"of {LOCK.name}; trusted by the archive's signature, sha256 {found.sha256}"
        )
    elif found.sha256 != known.sha256:
        raise UserError(
            f"{file} is not the file of {LOCK.name}: its sha256 is {found.sha256}, there it is "
            f"{known.sha256}; nothing of it was unpacked; see who changed it: apt's sources, or "
            "the lock"
        )


class _Apt:
    """apt for ARM64, with all that it keeps in a folder."""

    def __init__(self, folder: Path, remedy: str):
        self.packages = folder / "packages"
        self._configuration, self._remedy = folder / "apt.conf", remedy
        for name in ("state/lists/partial", "cache/archives/partial", "packages"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        self._configuration.write_text(_CONFIGURATION.format(folder=folder))
        self.run("apt-get", "update")

    def run(self, *words: str) -> str:
        """What a command of apt's prints; it works among the packages' files."""
        return process.run(
            [words[0], "--quiet", *words[1:]],
            what=f"{' '.join(words[:2])} of ARM64 packages",
            limit=_LIMIT,
            error=UserError,
            telling=process.error_line,
            remedy=f"check the network and apt's sources; {self._remedy}",
            folder=self.packages,
            environment={"APT_CONFIG": str(self._configuration), "LC_ALL": "C.UTF-8"},
        ).stdout

    def versions(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """Each name with each version that apt could fetch."""
        rows = (line.split("|") for line in self.run("apt-cache", "madison", *names).splitlines())
        return {(row[0].strip(), row[1].strip()) for row in rows if len(row) > 1}

    def newest(self, names: Sequence[str]) -> list[Package]:
        """What apt would fetch."""
        rows = map(str.split, self.run("apt-get", "download", "--print-uris", *names).splitlines())
        return [Package.of(row[1], row[3].removeprefix("SHA256:")) for row in rows if len(row) > 3]


def main() -> int:
    Parser(prog="python runtimes/debian.py", description=__doc__).parse_args()
    wanted = [line for line in _WANTED.read_text().splitlines() if not line.startswith("#")]
    with TemporaryDirectory() as folder:
        newest = _Apt(Path(folder), "it takes a machine with Debian's packages").newest(wanted)
    lines = sorted(f"{one.name}={one.version} sha256:{one.sha256}\n" for one in newest)
    with files.atomic(LOCK) as stream:
        stream.writelines([_HEAD, *lines])
    return Exit.OK


if __name__ == "__main__":
    run(main)
