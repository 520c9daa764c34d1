"""Many damaged files, read in one child: what becomes of each, and what it must never be.

The child is forked, so that a crash is an outcome like another. What it may not do is watched where
it would happen: Python's audit hook hears of files opened for writing outside of the case's folder,
of programs started and of connections; what code out of a pickle would do makes a canary.
"""

import contextlib
import dataclasses
import io
import multiprocessing
import os
import random
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import Kind, Specimen, WrongError, written
from benchmarks.faults.mutators import mutated
from benchmarks.faults.structured import CANARY
from common.cli import Exit, complain
from common.errors import StepError
from common.paths import ROOT
from common.temporary import is_held
from data.decode import BadPhotoError

LIMIT = 30.0  # seconds for one file
_PREPARING = 240.0  # seconds for the good files
MEMORY = 1 << 30  # bytes that reading a file may take beyond what is there before
_ADDRESSES = 12 << 30  # bytes of address space, so that the machine survives what does not end
_LONGEST = 1500  # characters of a sentence: some list what they found

REFUSED, RIGHT = "refused", "right"


@dataclass(frozen=True)
class Outcome:
    """What became of a file: "refused", "right", or a fault's name, and what there is to say.

    `place` is where in the project an exception was raised that is a fault.
    """

    kind: str
    seed: int
    number: int
    what: str
    said: str = ""
    place: str = ""

    @property
    def case(self) -> str:
        """What `CASE=` takes to try it again."""
        return f"{self.seed}:{self.kind}:{self.number}"

    @property
    def is_fault(self) -> bool:
        return self.what not in (REFUSED, RIGHT)


def damaged(kind: Kind, seed: int, number: int, good: Sequence[Specimen]) -> dict[str, bytes]:
    """The files of a case, and nothing but these numbers decides what they are."""
    rng = random.Random(f"{seed}:{kind.name}:{number}")
    specimen = dict(good[number % len(good)])
    name = rng.choice(kind.damaged)
    specimen[name] = mutated(rng, specimen[name], kind.mutators)
    return specimen


def judge(kind: Kind, seed: int, numbers: Sequence[int], scratch: Path) -> Iterator[Outcome]:
    """What becomes of these cases, each as it ends; the child starts anew after each that kills
    it, or takes too long."""
    context = multiprocessing.get_context("fork")
    scratch.mkdir(parents=True, exist_ok=True)
    left = list(numbers)
    while left:
        ours, theirs = context.Pipe()
        child = context.Process(target=_child, args=(kind, seed, left, scratch, theirs))
        child.start()
        theirs.close()
        ready = False
        try:
            if not ours.poll(_PREPARING):
                raise StepError(f"{kind.name}: no good files within {_PREPARING:.0f} s")
            ready = ours.recv()
            while left:
                if not ours.poll(LIMIT):
                    yield Outcome(kind.name, seed, left.pop(0), "hang", f"no end in {LIMIT:.0f} s")
                    break
                outcome = ours.recv()
                left.remove(outcome.number)
                yield outcome
        except EOFError:
            child.join()
            if not ready:
                raise StepError(
                    f"{kind.name}: the good files cannot be made, or are not read as right"
                ) from None
            yield Outcome(kind.name, seed, left.pop(0), "crash", f"status {child.exitcode}")
        finally:
            ours.close()
            child.kill()
            child.join()
            shutil.rmtree(scratch / "case", ignore_errors=True)


def _child(kind: Kind, seed: int, numbers: list[int], scratch: Path, answers: Connection) -> None:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_CORE):
        most = _ADDRESSES if limit == resource.RLIMIT_AS else 0
        resource.setrlimit(limit, (most, most))
    with (scratch / "noise.txt").open("wb") as noise:  # of decoders in C
        os.dup2(noise.fileno(), 2)
    room = _Room(scratch)
    good = kind.make()
    with contextlib.redirect_stderr(io.StringIO()):
        for specimen in good:  # each is right as it is; and what is imported late, is by now
            kind.read(written(room.fresh(), specimen), specimen)
        written(room.fresh(), dict.fromkeys(good[0], b""))
        with contextlib.suppress(Exception):
            kind.read(room.case, good[0])
    answers.send(True)
    sys.addaudithook(room.hear)
    for number in numbers:
        specimen = good[number % len(good)]
        written(room.fresh(), damaged(kind, seed, number, good))
        what, said, place = room.watched(kind, specimen)
        answers.send(Outcome(kind.name, seed, number, what, said, place))
    os._exit(0)


class _Room:
    """The only folder that a reader may write in."""

    _WATCHED = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")

    def __init__(self, scratch: Path):
        self.scratch = scratch
        self.case = scratch / "case" / "files"
        self._heard: list[str] = []
        self._armed = False
        self._native = False

    def fresh(self) -> Path:
        """An empty folder for a case's files, and one for what is temporary."""
        shutil.rmtree(self.case.parent, ignore_errors=True)
        for folder in (self.case, self.temporary):
            folder.mkdir(parents=True)
        os.chdir(self.case)
        os.environ["TMPDIR"] = str(self.temporary)
        os.environ["XDG_CACHE_HOME"] = str(self.case.parent / "cache")
        os.environ["BUILD_DIR"] = str(self.case.parent / "build")
        import tempfile

        tempfile.tempdir = str(self.temporary)
        return self.case

    @property
    def temporary(self) -> Path:
        return self.case.parent / "tmp"

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's audit hook: note what no reader may do."""
        if not self._armed:
            return
        if event == "open" and _writes(arguments):
            self._require_inside("wrote", arguments[0])
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.rename"):
            place = arguments[1] if event in ("os.symlink", "os.link", "os.rename") else None
            self._require_inside(event, place or arguments[0])
        elif event in self._WATCHED and not self._native:
            self._heard.append(f"{event} {arguments[:1]!r}"[:200])

    def _require_inside(self, what: str, place: Any) -> None:
        if isinstance(place, int):
            return
        path = os.path.realpath(os.fsdecode(place))
        inside = (str(self.case.parent), "/dev/", "/proc/")
        if not path.startswith(inside) and os.path.basename(path).count("__pycache__") == 0:  # noqa: PTH119
            self._heard.append(f"{what} {path}"[:200])

    def watched(self, kind: Kind, good: Specimen) -> tuple[str, str, str]:
        """Read the case's folder: what became of it, what was said, and where."""
        self._heard, self._native = [], kind.native
        before, began = _reset_peak(), time.process_time()
        lines = io.StringIO()
        place = ""
        with contextlib.redirect_stderr(lines), contextlib.redirect_stdout(lines):
            try:
                self._armed = True
                what = RIGHT if kind.read(self.case, good) else REFUSED
            except WrongError as wrong:
                what, place = "wrong", str(wrong)
            except BadPhotoError as reason:
                what = REFUSED
                print(f"error: {reason}", file=sys.stderr)
            except MemoryError as error:
                what, place = "memory", _place(error)
            except BaseException as error:  # noqa: BLE001 - it is what is looked for
                self._armed = False
                status = complain(error)
                what = REFUSED if status in (Exit.USAGE, Exit.BROKEN) else "traceback"
                place = f"{type(error).__name__} in {_place(error)}"
            finally:
                self._armed = False
        said = lines.getvalue()
        taken = _peak() - before
        if fault := self._fault(what, said, taken, time.process_time() - began):
            return fault[0], fault[1], place
        return what, _last(said), place if what not in (RIGHT, REFUSED) else ""

    def _fault(self, what: str, said: str, taken: int, seconds: float) -> tuple[str, str] | None:
        """What else is wrong than what was raised, and the words for it."""
        canary = list(self.case.parent.rglob(CANARY))
        if canary or any("spawn" in one or "system" in one for one in self._heard):
            return "code executed", "; ".join(self._heard) or str(canary)
        if self._heard:
            return "outside", "; ".join(self._heard)
        if taken > MEMORY:
            return "memory", f"{taken >> 20} MiB"
        if seconds > LIMIT / 2:
            return "hang", f"{seconds:.1f} s"
        # A child that takes the next file, too, has a folder there.
        left = [path.name for path in self.temporary.iterdir() if not is_held(path)]
        if left:
            return "left behind", ", ".join(left)
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        bad = [one for one in said if not (one.isprintable() or one == "\n")]
        if bad or len(errors) > 1 or any(len(line) > _LONGEST for line in errors):
            return "no sentence", ascii(_last(said))[:300]
        return None


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _last(said: str) -> str:
    return (said.strip().splitlines() or [""])[-1][:300]


def _place(error: BaseException) -> str:
    """The last line of the project's that an exception came through."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if str(ROOT) in one.filename]
    theirs = ("/.venv", "/faults/")
    ours = [one for one in frames if not any(part in one.filename for part in theirs)]
    if not ours:
        return "elsewhere"
    return f"{Path(ours[-1].filename).relative_to(ROOT)}: {ours[-1].name}"


def _reset_peak() -> int:
    """Let the kernel count this process's peak anew; what it has now, in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0


def as_json(outcome: Outcome) -> dict[str, Any]:
    return dataclasses.asdict(outcome)
