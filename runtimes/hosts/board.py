"""A Linux machine that OpenSSH's client reaches: what it is, and files of ours that lie there.

It is reached by the user's own settings (~/.ssh/config). All that comes there lies in one folder,
each part under a name that says what is in it, and whole or not at all. It takes a shell and tar,
and no Python.
"""

import functools
import io
import os
import re
import shlex
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from common import console, machine, process
from common.errors import UserError
from common.paths import given

LOST = 255  # ssh's own status where it, and not the command, failed
BEGINS = 120.0  # seconds until a connection answers, or a program starts, at most
_SLOWEST = 50_000  # bytes a second, of a connection that is of use
_UNPACKS = 900.0  # seconds that a slow card may take for what was sent last

# Whatever the user's own settings are: never ask, notice within a minute that a board is gone, and
# be nobody's master, who would end with us.
_OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=3"),
    *("ControlMaster=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"),
    *("RemoteCommand=none", "RequestTTY=no", "EscapeChar=none", "LogLevel=ERROR"),
)
# What ssh says where it cannot connect: a sign, the cause in our words (None: its own line), and
# what to do.
_CAUSES = (
    ("IDENTIFICATION HAS CHANGED", "its host key is not the one it had", "see: ssh {alias}"),
    (
        "Host key verification failed",
        "its host key is not known yet",
        "log in by hand once, and compare it: ssh {alias}",
    ),
    ("Could not resolve", None, "check the name, and ~/.ssh/config"),
    ("bad configuration option", "ssh's settings are wrong", "see: ssh {alias}"),
    ("open user config file", None, "name another: PORTAGE_SSH_CONFIG"),
    ("Permission denied", None, "let it know your key: ssh-copy-id {alias}"),
)

# What the several kinds of tar say of a full disk.
_FULL = ("No space left", "Wrote only", "short write", "quota exceeded")
_HERE = "portage is here"
_BASE = 'base="${XDG_CACHE_HOME:-$HOME/.cache}/paddle-portage-board"'
# A shell's start-up files may print: what counts begins after the first line of ours.
_PROBE = f"""
{_BASE}
echo; echo {_HERE}
echo machine "$(uname -m)"
echo cores "$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
echo folder "$base"
for part in "$base"/*; do echo part "${{part##*/}}"; done
place="$base"
while [ ! -d "$place" ] && [ "$place" != "${{place%/*}}" ]; do place="${{place%/*}}"; done
df -Pk "${{place:-/}}" 2>/dev/null | sed -n '2s/^/disk /p'
for python in python3 python3.11 python3.12 python3.13 python3.14; do
  said=$("$python" -I -c "
import platform, sys
print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.maxsize > 2**32, end=' ')
print('-'.join(platform.libc_ver()))" 2>/dev/null </dev/null) &&
    echo python "$(command -v "$python")" "$said"
done
echo product "$(tr -d '\\000' 2>/dev/null </proc/device-tree/model)"
LC_ALL=C lscpu 2>/dev/null | sed -n 's/^ *Model name: */cpu /p'
echo cpuinfo; cat /proc/cpuinfo
"""
# A part comes as an archive whose last file is `.whole`: then nothing was cut off. What one that
# was killed left goes first.
_TAKE = f"""
{_BASE}
set -e
mkdir -p "$base"
cd "$base"
for left in .new.*; do kill -0 "${{left#.new.}}" 2>/dev/null || rm -rf "$left"; done
new=.new.$$
trap 'cd "$base" && rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM PIPE
mkdir "$new"
cd "$new"
tar -xmof -
rm .whole
%(then)s
cd ..
[ -d %(name)s ] || mv "$new" %(name)s
"""


@dataclass(frozen=True)
class Python:
    """An interpreter there; `glibc` is the number after 2., None for another C library."""

    path: str
    implementation: str
    version: str
    is_64_bit: bool
    glibc: int | None


@dataclass(frozen=True)
class Facts:
    """What a board says of itself."""

    machine: str
    cores: int
    cpu: str
    isa: list[str]
    pythons: list[Python]
    folder: str  # of what is ours
    free: int | None  # bytes on its disk, where that is known
    parts: set[str]  # that are in it


class Board:
    """`alias` is what ssh calls it: a name in ~/.ssh/config, or user@host."""

    def __init__(self, alias: str, name: str):
        self.alias = alias
        self._name = name
        self._copying = threading.Lock()

    def command(self, words: Sequence[str | Path]) -> list[str]:
        """The command here that runs a program there."""
        config = given("PORTAGE_SSH_CONFIG")
        named = ("-F", str(config)) if config else ()
        options = (f"-o{option}" for option in _OPTIONS)
        return ["ssh", *named, *options, "--", self.alias, f"exec {shlex.join(map(str, words))}"]

    @functools.cached_property
    def facts(self) -> Facts:
        """What it is; UserError where it cannot be reached, or is no Linux machine."""
        lines = iter(self._ask(None, _PROBE).partition(f"{_HERE}\n")[2].splitlines())
        said: dict[str, list[str]] = {}
        for line in lines:
            if line == "cpuinfo":
                break
            word, _, value = line.partition(" ")
            said.setdefault(word, []).append(value.strip())
        cpuinfo = "\n".join(lines)
        try:
            return Facts(
                machine=said["machine"][0],
                cores=int(said["cores"][0]),
                cpu=_cpu(said, cpuinfo),
                isa=machine.isa_in(cpuinfo),
                pythons=[_python(value) for value in said.get("python", ())],
                folder=said["folder"][0],
                free=_free(said.get("disk", [""])[0]),
                parts=set(said["part"]),
            )
        except (KeyError, ValueError):
            raise UserError(
                f"{self._name} answers, but not as a Linux machine with a shell does; see what "
                f"it says: ssh {self.alias} uname -a"
            ) from None

    def take(
        self, part: str, content: Callable[[], Mapping[str, Path]], title: str, then: str = ":"
    ) -> str:
        """The folder there that is called `part`; where there is none it is made.

        It gets the files here that `content` names, relative name → file; then a command is run
        in it. UserError where that fails: nothing is left there then.
        """
        with self._copying:
            if part not in self.facts.parts:
                self._copy(part, content(), title, then)
                self.facts.parts.add(part)
        return f"{self.facts.folder}/{part}"

    def refusal(self, doing: str, status: int, said: str, remedy: str | None = None) -> UserError:
        """What to say of a program there that failed, by what came on its standard error."""
        lines = [line for line in said.splitlines() if line.strip()]
        telling: str | None = (lines or [""])[-1]
        how = f"it {process.ending(status)}"
        if status == LOST or status < 0:
            how, remedy = f"the connection to {self._name} broke", "run it again"
        elif any(sign in said for sign in _FULL):
            how, telling = f"the disk of {self._name} is full", None
            remedy = "free some of it, and run it again"
        elif errors := [line for line in lines if "rror" in line]:
            telling = errors[-1]
        return UserError(process.sentence(doing, how, telling, remedy))

    def _copy(self, part: str, content: Mapping[str, Path], title: str, then: str) -> None:
        doing = f"copying {title} to {self._name}"
        size = sum(path.stat().st_size for path in content.values())
        with console.progress(doing, "bytes") as progress:
            self._ask(
                doing,
                _TAKE % {"name": part, "then": then},
                limit=_UNPACKS + size / _SLOWEST,
                feed=lambda stream: _write_archive(
                    content, _Counted(stream, lambda done: progress(min(done, size), size))
                ),
            )

    def _ask(
        self,
        doing: str | None,
        script: str,
        limit: float = BEGINS,
        feed: Callable[[IO[bytes]], None] | None = None,
    ) -> str:
        """What a shell there prints of a script; `doing` is None before anything is known of it."""
        done = process.run(
            self.command(["sh", "-c", script]),
            what=doing or f"{self._name} cannot be reached",
            limit=limit,
            error=UserError,
            statuses=process.ANY_STATUS,
            feed=feed,
        )
        if done.status == LOST and doing is None:
            raise self._unreachable(done.stderr)
        if done.status:
            raise self.refusal(doing or f"asking {self._name}", done.status, done.stderr)
        return done.stdout

    def _unreachable(self, said: str) -> UserError:
        cause = process.last_line(process.Completed(LOST, stderr=said)) or "ssh does not say why"
        cause, remedy = (
            cause.removeprefix("ssh: ").rstrip("."),
            f"see that it is on, and try: ssh {self.alias}",
        )
        for sign, ours, cure in _CAUSES:
            if sign in said:
                cause, remedy = ours or cause, cure.format(alias=self.alias)
                break
        return UserError(process.sentence(f"{self._name} cannot be reached", cause, None, remedy))


def _cpu(said: Mapping[str, list[str]], cpuinfo: str) -> str:
    """The name of the processor, and of the board where it has one of its own."""
    names = said.get("cpu") or machine.values_in(cpuinfo, "model name")[:1] or ["unknown"]
    cpu, product = " and ".join(dict.fromkeys(names)), said.get("product", [""])[0]
    return f"{cpu} ({product})" if product else cpu


def _free(said: str) -> int | None:
    """The bytes that a line of `df -Pk` says are available."""
    found = re.search(r" (\d+) +\d+% ", said)
    return int(found[1]) * 1024 if found else None


def _python(said: str) -> Python:
    path, implementation, version, is_64_bit, libc = said.rsplit(maxsplit=4)
    glibc = int(libc.split(".")[1]) if libc.startswith("glibc-2.") else None
    return Python(path, implementation, version, is_64_bit == "True", glibc)


class _Counted(io.RawIOBase):
    """A stream for writing, which tells how many bytes it got."""

    def __init__(self, stream: IO[bytes], hear: Callable[[int], None]):
        super().__init__()
        self._stream, self._hear = stream, hear
        self._done = 0

    def write(self, data: Any) -> int:
        written = self._stream.write(data)
        self._done += written
        self._hear(self._done)
        return written


def _write_archive(content: Mapping[str, Path], stream: _Counted) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, path in content.items():
            with path.open("rb") as source:
                about = tarfile.TarInfo(name)
                about.size = os.fstat(source.fileno()).st_size
                about.mode = mode(path)
                archive.addfile(about, source)
        archive.addfile(tarfile.TarInfo(".whole"))


def mode(path: Path) -> int:
    """The mode that a file of ours has there."""
    return 0o755 if os.access(path, os.X_OK) else 0o644
