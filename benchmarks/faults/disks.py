"""A disk that is full, read-only, or has a quota, under every command.

Each case has a disk of its own: a tmpfs, or a btrfs in a file, which only the case sees. It holds
all that a command reads and writes. The command says in one sentence what is wrong, with status 2,
or ends as an undisturbed one, where what it does needs no more room; nothing of before is lost; and
once there is room it ends as the undisturbed one did.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.commands import COMMANDS, Command, Done, result_of
from benchmarks.faults.judging import REFUSED, RIGHT, Outcome
from benchmarks.faults.kills import (
    Judged,
    apart,
    laid_out,
    left_behind,
    own_mounts,
    prepare,
    run_to_its_end,
    taken,
    undisturbed,
)
from benchmarks.faults.record import Tally
from common.cli import Exit
from common.errors import StepError

PREFIX = "disk-"  # of a case's kind, before the command
_ROOMY = 4 << 30


@dataclass(frozen=True)
class Disk:
    """What is wrong with a disk: it has room for a `share` of what the command adds, or none can be
    written; `quota` where that is not the disk's own end."""

    name: str
    share: float | None
    quota: bool = False


DISKS = (
    Disk("full", 0.0),
    Disk("half", 0.5),
    Disk("nearly", 0.97),
    Disk("read-only", None),
    Disk("quota", 0.5, quota=True),
)


def try_disks(
    seed: int, tallies: Mapping[str, Tally], root: Path, deadline: float
) -> Iterator[Outcome]:
    """What becomes of each command on the next of the disks; each as it ends."""
    for name, command in COMMANDS.items():
        number = tallies[PREFIX + name].next if PREFIX + name in tallies else 0
        if (
            number >= len(DISKS)
            or command.lacking()
            or time.monotonic() > deadline
            or lacking(DISKS[number])
        ):
            continue
        if prepare(root, name):
            yield try_again(name, seed, number, root)


def try_again(name: str, seed: int, number: int, root: Path) -> Outcome:
    if not prepare(root, name):
        raise StepError(f"{name} cannot run here")
    found = apart(_case, COMMANDS[name], seed, number, root)
    place = found.place and f"{DISKS[number].name}: {found.place}"
    return Outcome(PREFIX + name, seed, number, found.what, found.said, place)


def lacking(disk: Disk) -> str | None:
    """Why there is no such disk here."""
    if os.getuid():
        return "only root mounts"
    if disk.quota and not shutil.which("mkfs.btrfs"):
        return "mkfs.btrfs is not here (Debian: apt-get install btrfs-progs)"
    return None


def _case(command: Command, seed: int, number: int, root: Path) -> Judged:
    isolated = own_mounts()
    if not isolated:
        raise StepError("no mounts of its own can be had here")
    disk, place = DISKS[number], root / "disk"
    work = place / "case"
    usual = undisturbed(root)[command.name]
    place.mkdir(exist_ok=True)
    mounted = _Quota(root, place) if disk.quota else _Tmpfs(place)
    try:
        laid_out(command, root, work)
        (work / "tmp").mkdir(exist_ok=True)
        return _judged(command, disk, mounted, work, usual)
    finally:
        mounted.end()


def _judged(command: Command, disk: Disk, mounted, work: Path, usual: Mapping) -> Judged:
    before = _sizes(work)
    mounted.limit(disk.share, usual["adds"])
    done = run_to_its_end(command, work)
    mounted.free()
    what = RIGHT
    if done.returncode in command.statuses:
        if result_of(command, work, done) != usual["result"]:
            return "another result", done.stderr[-300:]
    else:
        what = REFUSED
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        if done.returncode != Exit.USAGE or len(errors) != 1 or "Traceback" in done.stderr:
            return f"status {done.returncode}", done.stderr[-300:]
        if lost := [name for name, size in before.items() if _size(work / name) != size]:
            return "lost or half-written", f"{errors[0]}: {', '.join(lost)}"[:600]
    said = _last(done)
    again = run_to_its_end(command, work, again=True)
    if again.returncode not in command.statuses:
        return "the next run failed", again.stderr[-300:]
    if result_of(command, work, again) != usual["result"]:
        return "the next run differs", said
    if left := left_behind(work, isolated=True):
        return "left behind", f"{said}: {', '.join(left)}"
    return what, said


def _last(done: Done) -> str:
    return (done.stderr.strip().splitlines() or [""])[-1][:300]


def _sizes(work: Path) -> dict[str, int]:
    """What lies there before, but for the cache, which may give way."""
    return {
        str(path.relative_to(work)): path.stat().st_size
        for path in work.rglob("*")
        if path.is_file() and path.relative_to(work).parts[0] != "cache"
    }


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


class _Tmpfs:
    """A disk in memory."""

    def __init__(self, place: Path):
        self._place = place
        _do("mount", "-t", "tmpfs", "-o", f"size={_ROOMY}", "tmpfs", place)

    def limit(self, share: float | None, adds: int) -> None:
        options = "ro"
        if share is not None:
            status = os.statvfs(self._place)
            used = (status.f_blocks - status.f_bfree) * status.f_frsize
            options = f"size={max(4096, used + int(share * max(0, adds)))}"
        _do("mount", "-o", f"remount,{options}", self._place)

    def free(self) -> None:
        _do("mount", "-o", f"remount,rw,size={_ROOMY}", self._place)

    def end(self) -> None:
        _do("umount", "--lazy", self._place)


class _Quota:
    """A btrfs in a file, with quotas."""

    def __init__(self, root: Path, place: Path):
        self._place, self._image = place, root / "quota.img"
        with self._image.open("wb") as stream:
            stream.truncate(_ROOMY)
        _do("mkfs.btrfs", "--quiet", "--force", self._image)
        _do("mount", "-o", "loop", self._image, place)
        _do("btrfs", "quota", "enable", place)

    def limit(self, share: float | None, adds: int) -> None:
        _do("btrfs", "filesystem", "sync", self._place)
        _do("btrfs", "quota", "rescan", "-w", self._place)
        room = taken(self._place) + int((share or 0) * max(0, adds))
        _do("btrfs", "qgroup", "limit", str(room), self._place)

    def free(self) -> None:
        _do("btrfs", "qgroup", "limit", "none", self._place)

    def end(self) -> None:
        _do("umount", self._place)
        self._image.unlink()


def _do(*words: object) -> None:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"{words[0]}: {done.stderr.strip()[:200]}")
