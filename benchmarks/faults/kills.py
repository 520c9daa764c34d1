"""SIGKILL at a random moment of a command: the next run is right, and nothing stays behind.

Each case has folders of its own, copied from those that an undisturbed run of everything left, less
what the command makes; and shared memory of its own, a mount that nobody else sees. A command is
run and killed, alone or beside a second run of the same in the same folders, and then run again:
that one has to end as the undisturbed one did.
"""

import contextlib
import ctypes
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.faults import commands
from benchmarks.faults.commands import COMMANDS, Command, material, result_of
from benchmarks.faults.judging import REFUSED, RIGHT, Outcome
from benchmarks.faults.record import Tally
from common import files
from common.console import say
from common.errors import StepError

_LIMIT = 300.0  # seconds for a run
_GONE = 15.0  # seconds until nothing of a killed command runs any more
_MARK = "PORTAGE_CAMPAIGN"  # in the environment of all that a case starts
_NEW_MOUNTS, _NEW_USER, _PRIVATE = 0x20000, 0x10000000, 0x44000  # of <sched.h>, <sys/mount.h>
_SHARED = Path("/dev/shm")
_FACTS = "undisturbed.json"
_left_out: set[str] = set()  # commands that failed undisturbed

Judged = tuple[str, str]  # "right", "refused" or a fault's name, and the words for it
Case = Callable[[Command, int, int, Path], Judged]


def kill(seed: int, tallies: Mapping[str, Tally], root: Path, deadline: float) -> Iterator[Outcome]:
    """What becomes of a kill of each command, of those that had too few before; each as it ends."""
    for name, command in COMMANDS.items():
        number = tallies[name].next if name in tallies else 0
        if number >= command.wanted or command.lacking() or time.monotonic() > deadline:
            continue
        if prepare(root, name):
            yield apart(_case, command, seed, number, root)


def kill_again(name: str, seed: int, number: int, root: Path) -> Outcome:
    """What becomes of one kill at the same moment; what runs beside may differ."""
    if not prepare(root, name):
        raise StepError(f"{name} cannot run here")
    return apart(_case, COMMANDS[name], seed, number, root)


def prepare(root: Path, until: str) -> bool:
    """Run the commands up to one once, undisturbed, and note how each ends, and how long it takes;
    False where that one cannot run here, which is said."""
    base, known = root / "base", undisturbed(root)
    if not known:
        shutil.rmtree(base, ignore_errors=True)
        material(base)
    for command in COMMANDS.values():
        if until in known or until in _left_out:
            break
        if command.name in known or command.name in _left_out or command.lacking():
            continue
        before, began = taken(base, fetched=False), time.monotonic()
        done = run_to_its_end(command, base)
        if done.returncode not in command.statuses:
            _left_out.add(command.name)
            say(f"  {command.name} is left out: undisturbed, it failed: {done.stderr[-400:]}")
            continue
        known[command.name] = {
            "seconds": time.monotonic() - began,
            "adds": taken(base, fetched=False) - before,
            "result": result_of(command, base, done),
        }
        files.write_json(root / _FACTS, {"of": _code(), "commands": known})
    return until in known


def undisturbed(root: Path) -> dict[str, Any]:
    """How each command ended, by its name, as the campaign's own code now starts them."""
    found = files.read_json(root / _FACTS) or {}
    return found["commands"] if found.get("of") == _code() else {}


def _code() -> str:
    return files.sha256(Path(commands.__file__)) + files.sha256(Path(__file__))


def apart(case: Case, command: Command, seed: int, number: int, root: Path) -> Outcome:
    """A case in a child, which may have mounts of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_answer, args=(case, command, seed, number, root, theirs))
    child.start()
    theirs.close()
    try:
        what, said = ours.recv()
    except EOFError:  # its traceback stands above; other cases go on
        what, said = "no verdict", "the campaign's own child died"
    finally:
        child.join()
        ours.close()
    return Outcome(command.name, seed, number, what, said, "" if what in (RIGHT, REFUSED) else what)


def _answer(
    case: Case, command: Command, seed: int, number: int, root: Path, answer: Connection
) -> None:
    answer.send(case(command, seed, number, root))
    os._exit(0)


def _case(command: Command, seed: int, number: int, root: Path) -> Judged:
    isolated = own_mounts()
    work = root / "work"
    shutil.rmtree(work, ignore_errors=True)
    laid_out(command, root, work)
    return _killed(
        command, work, undisturbed(root)[command.name], random.Random(f"{seed}:{number}"), isolated
    )


def laid_out(command: Command, root: Path, work: Path) -> None:
    """What an undisturbed run of everything left, less what the command makes, and archives of
    registries (0.4 GB) where it does not read any."""
    ignored = None if command.fetches else shutil.ignore_patterns("packages")
    shutil.copytree(root / "base", work, symlinks=True, copy_function=_copy, ignore=ignored)
    for pattern in command.makes:
        for path in work.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _copy(source: str, destination: str) -> None:
    """A file of a case's own; what nothing writes into, archives and packages, is only linked."""
    if "/packages/" in source or "/site-packages/" in source:
        with contextlib.suppress(OSError):  # another disk
            os.link(source, destination)
            return
    shutil.copy2(source, destination)


def _killed(
    command: Command, work: Path, usual: Mapping, rng: random.Random, isolated: bool
) -> Judged:
    """Kill a run, judge the next; "right", or a fault and the words for it."""
    moment = rng.uniform(0.1, 1.0) * usual["seconds"]
    beside = _start(command, work) if command.shared and rng.random() < 0.4 else None
    victim = _start(command, work)
    with contextlib.suppress(subprocess.TimeoutExpired):
        victim.wait(moment)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    how = f"killed after {moment:.1f} s{', beside another' if beside else ''}"
    if beside:
        _, said = beside.communicate(timeout=_LIMIT)
        if beside.returncode not in command.statuses:
            return "the run beside failed", f"{how}: {said[-300:]}"
    if running := _still_running():
        return "processes stay", f"{how}: {running}"
    done = run_to_its_end(command, work, again=True)
    if done.returncode not in command.statuses:
        return "the next run failed", f"{how}: {done.stderr[-300:]}"
    result = result_of(command, work, done)
    if result != usual["result"]:
        return "the next run differs", f"{how}: {result} not {usual['result']}"[:600]
    if left := left_behind(work, isolated):
        return "left behind", f"{how}: {', '.join(left)}"
    return RIGHT, how


# ---- runs ----


def _start(command: Command, folder: Path, *, again: bool = False) -> subprocess.Popen:
    own = {
        "BUILD_DIR": folder / "build", "WEIGHTS_DIR": folder / "weights",
        "XDG_CACHE_HOME": folder / "cache", "TMPDIR": folder / "tmp", _MARK: str(os.getpid()),
    }  # fmt: skip
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    words = [*command.words, *(command.again if again else ())]
    return subprocess.Popen(
        [sys.executable, command.script(folder), *words[1:]],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=folder, env=os.environ | {name: str(value) for name, value in own.items()},
    )  # fmt: skip


def run_to_its_end(
    command: Command, folder: Path, *, again: bool = False
) -> subprocess.CompletedProcess:
    """A run to its end; where that needs more than what is there to go on from, without."""
    child = _start(command, folder, again=again)
    before = _until_ready(command, child) if command.asked else ""
    output, errors = child.communicate(timeout=_LIMIT)
    output = before + output
    done = subprocess.CompletedProcess(command.words, child.returncode, output, errors)
    if again and command.again and done.returncode == 2 and "no checkpoint" in done.stderr:
        shutil.rmtree(folder / "run", ignore_errors=True)
        return run_to_its_end(command, folder)
    return done


def _until_ready(command: Command, child: subprocess.Popen) -> str:
    """Ask a server as soon as it is ready, and end it as Ctrl-C does; what it said before."""
    said = ""
    assert child.stdout and command.asked
    for line in child.stdout:
        said += line
        if line.startswith("ready"):
            command.asked(said)
            child.send_signal(signal.SIGINT)
            break
    return said


# ---- what stays ----


def taken(folder: Path, *, fetched: bool = True) -> int:
    """The bytes that a folder takes on its disk, with or without what came from registries."""
    theirs = ("/cache/paddle-portage/packages/", "/cache/uv/")
    return sum(
        files.disk_bytes(path)
        for path in folder.rglob("*")
        if fetched or not any(one in str(path) for one in theirs)
    )


def _still_running() -> str:
    """What a killed command started and that runs on, some time after; "" where nothing does."""
    mark = f"{_MARK}={os.getpid()}\0".encode()
    given_up = time.monotonic() + _GONE
    while True:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes() + b"\0":
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ")[:80])
        if not found or time.monotonic() > given_up:
            return b"; ".join(found).decode(errors="replace")
        time.sleep(0.05)


def left_behind(work: Path, isolated: bool) -> list[str]:
    """Temporary files, and shared memory where that is the case's own."""
    hidden = [
        path
        for root in ("build", "cache", "weights", "run")
        for path in (work / root).rglob(".*")
        if not path.name.endswith(".lock") and "cache/uv/" not in str(path)  # uv's own
    ]
    temporary = list((work / "tmp").iterdir())
    shared = list(_SHARED.iterdir()) if isolated else []
    return [str(one.relative_to(work)) for one in [*hidden, *temporary]] + list(map(str, shared))


def own_mounts() -> bool:
    """Mount an empty /dev/shm that this process and its children see alone, if that is allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    ids = os.getuid(), os.getgid()
    if libc.unshare(_NEW_MOUNTS | (_NEW_USER if ids[0] else 0)):
        return False
    if ids[0]:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {ids[0]} 1")
        Path("/proc/self/gid_map").write_text(f"0 {ids[1]} 1")
    if libc.mount(b"none", b"/", None, _PRIVATE, None):
        return False
    return not libc.mount(b"tmpfs", bytes(_SHARED), b"tmpfs", 0, b"size=4g")
