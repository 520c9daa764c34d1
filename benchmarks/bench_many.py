"""What many photos take: memory, time left as it was shown, and going on after a kill.

    python benchmarks/bench_many.py [--photos 1000 --photos 50000] [--kill] [--folder DIR]

Synthetic photos of many sizes (JPEG, PNG and WebP, one in a hundred large) go through validate and
calibrate (a third calibrates, the others judge), in a build and a cache of the benchmark's own.
Memory is what all processes of a command hold at their peak, looked at five times a second:
resident (what they share is counted in each), and proportional. The time left is held against when
it was over, from a tenth of the way on. With --kill the first command is ended by SIGKILL while it
decodes, and run again.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import psutil

from common import console, files, machine
from common.cli import Exit, Parser, choice, positive, run, word_or_path
from common.errors import StepError
from common.paths import ROOT, absolute, build_root
from data.decode_many import PER_TASK
from models.weights import WORDS

_MIB = 2**20
_LOOK = 0.2  # seconds
_FROM = 0.1  # of the way: from here on the time left is held against what came
_SHORTEST = 10.0  # seconds left: below, a line every ten seconds says nothing
_KILL_AT = 0.4  # of the photos decoded
_LEFT = re.compile(r"^ +(.+): (\d+) of (\d+) photos(?:, about (\d+) s left)?$")
_LARGE = 100  # one photo in so many is large
_KINDS = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))
_CLASSES = 10


@dataclass
class _Taken:
    """A command, run once: seconds, MiB at the peak, and what it said of the time left."""

    command: str
    photos: int
    status: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rss_mib: float = 0.0
    pss_mib: float = 0.0
    decoded: int | None = None  # photos noted as decoded, when it was killed
    decoded_from: int | None = None  # photos decoded, at the first line that said so
    off: list[float] = field(default_factory=list)  # time left as said over as it was, minus 1
    off_work: list[float] = field(default_factory=list)  # the same in CPU seconds, see _off_work


def main() -> int:
    options = _parse()
    from benchmarks.bench import describe_environment

    environment = describe_environment()  # before our own work counts as load
    taken: list[_Taken] = []
    with contextlib.ExitStack() as stack:
        scratch = options.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="portage-bench-"))
        )
        for count in options.photos or [1000, 50000]:
            listing = _photos(scratch, count)
            for name, words in _commands(options, listing, count):
                if options.kill:
                    taken.append(_run(name, count, scratch, words, kill=True))
                taken.append(_run(name, count, scratch, words))
                _say(taken[-1])
    _show(taken)
    path = build_root() / "bench_many.json"
    facts = {"schema": 1, "model": options.model, "samples": [asdict(one) for one in taken]}
    files.write_json(path, {**facts, "environment": environment})
    print(f"every figure: {console.shown(path)}")
    return Exit.OK


def _parse():
    parser = Parser(prog="python benchmarks/bench_many.py", description=__doc__)
    parser.add_argument("--model", default="SqueezeNet1_1", metavar="NAME")
    parser.add_argument(
        "--weights",
        type=word_or_path(*WORDS),
        default="random",
        metavar="W",
        help="as for build.py (default: random)",
    )
    parser.add_argument("--classes", type=positive, metavar="N", help="of random weights")
    parser.add_argument(
        "--photos",
        type=positive,
        action="append",
        metavar="N",
        help="how many; repeatable (default: 1000, then 50000)",
    )
    parser.add_argument(
        "--only",
        action="append",
        type=choice("validate", "calibrate"),
        metavar="COMMAND",
        help="validate or calibrate; repeatable (default: both)",
    )
    parser.add_argument("--kill", action="store_true", help="end each by SIGKILL as it decodes")
    parser.add_argument(
        "--folder", type=absolute, metavar="DIR", help="keep photos, build and cache here"
    )
    return parser.parse_args()


def _commands(options, listing: Path, count: int) -> Iterator[tuple[str, Sequence[object]]]:
    words = ["--model", options.model, "--weights", options.weights, "--target", "onnx"]
    words += ["--classes", options.classes] if options.classes else []
    words += ["--data", listing]
    commands: dict[str, list[object]] = {
        "validate": ["--precision", "fp32"],
        # As many as may: a third. By itself it takes a few hundred.
        "calibrate": ["--calib-photos", count, "--json"],
    }
    for name, more in commands.items():
        if name in (options.only or (name,)):
            yield name, [ROOT / "deploy" / f"{name}.py", *words, *more]


# ---- the photos ----


def _photos(scratch: Path, count: int) -> Path:
    """A list of so many photos in the scratch folder; those that are there are not made again."""
    folder = scratch / f"photos-{count}"
    listing = folder / "val_list.txt"
    if listing.exists():
        return listing
    folder.mkdir(parents=True, exist_ok=True)
    with console.progress("making photos", "photos") as progress:
        names = []
        with ThreadPoolExecutor(machine.threads()) as pool:
            for name in pool.map(lambda number: _photo(folder, number), range(count)):
                names.append(name)
                progress(len(names), count)
    lines = [f"{name} {number % _CLASSES}\n" for number, name in enumerate(names)]
    with files.atomic(listing) as stream:
        stream.write("".join(lines))
    return listing


def _photo(folder: Path, number: int) -> str:
    """Write a photo that no other is like; its name."""
    import cv2
    import numpy as np

    random = np.random.default_rng(number)
    large = number % _LARGE == _LARGE - 1
    width, height = random.integers(*((900, 1600) if large else (48, 128)), 2)
    coarse = random.integers(0, 256, (6, 6, 3), np.uint8)
    pixels = cv2.resize(coarse, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)
    kind, suffix = _KINDS[number % len(_KINDS)]
    name = f"{number:06}.{suffix}"
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 1] if kind == "PNG" else []
    _, data = cv2.imencode(f".{suffix}", pixels, flags)
    (folder / name).write_bytes(data.tobytes())
    return name


# ---- one command ----


def _run(
    name: str, count: int, scratch: Path, words: Sequence[object], kill: bool = False
) -> _Taken:
    """Run a command to its end, or until it is killed, and watch it."""
    taken = _Taken(f"{name}, killed" if kill else name, count)
    own = {"BUILD_DIR": scratch / f"build-{count}", "XDG_CACHE_HOME": scratch / "cache"}
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=os.environ | {key: str(value) for key, value in own.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    journals = own["XDG_CACHE_HOME"] / "paddle-portage" / "crops" if kill else None
    watcher = threading.Thread(target=_watch, args=(psutil.Process(child.pid), taken, journals))
    watcher.start()
    said: list[tuple[float, str]] = []
    worked: list[tuple[float, str]] = []
    last = ""
    assert child.stderr
    for line in child.stderr:
        last = line.strip() or last
        said.append((time.monotonic(), line.rstrip()))
        worked.append((taken.cpu_seconds, line.rstrip()))
        if found := _LEFT.match(line.rstrip()):
            console.say(line.rstrip())
            if found[1].startswith("decoding") and taken.decoded_from is None:
                taken.decoded_from = int(found[2])
    taken.status = child.wait()
    watcher.join()
    child.stderr.close()
    taken.seconds = time.monotonic() - started
    taken.off = _off(said, time.monotonic())
    taken.off_work = _off_work(worked)
    if not kill and taken.status not in (Exit.OK, Exit.BROKEN, Exit.UNDECIDED):
        raise StepError(f"{name} on {count} photos ended with status {taken.status}: {last}")
    return taken


def _watch(child: psutil.Process, taken: _Taken, journals: Path | None) -> None:
    """Note what a command's processes hold, until it ends; end it where its crops' journal, in
    this folder, says that so much is decoded."""
    spent: dict[int, float] = {}
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        rss = pss = 0.0
        for one in [child, *_children(child)]:
            with contextlib.suppress(psutil.Error):
                held = one.memory_full_info()
                rss, pss = rss + held.rss / _MIB, pss + held.pss / _MIB
                spent[one.pid] = sum(one.cpu_times()[:2])
        taken.rss_mib, taken.pss_mib = max(taken.rss_mib, rss), max(taken.pss_mib, pss)
        if journals and (kept := _decoded(journals)) >= _KILL_AT * taken.photos:
            child.kill()
            taken.decoded = kept
            break
        taken.cpu_seconds = sum(spent.values())
        time.sleep(_LOOK)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:  # it has ended
        return []


def _decoded(journals: Path) -> int:
    """How many photos a run has noted as decoded."""
    known = [files.read_json(path) for path in journals.glob(".*.part.json")]
    return max((PER_TASK * len(one["done"]) for one in known if one), default=0)


def _off(said: Sequence[tuple[float, str]], ended: float) -> list[float]:
    """By how much each time left that was said was off, relative to what came.

    Work is over when its last line said that it would be, or, at the latest, at the next line.
    """
    found = [(at, match) for at, line in said if (match := _LEFT.match(line)) and match[4]]
    times = [*(at for at, _ in said), ended]
    off = []
    for at, line in found:
        last, lines = max((one, match) for one, match in found if match[1] == line[1])
        end = min(last + float(lines[4]), next(one for one in times if one > last))
        if int(line[2]) >= _FROM * int(line[3]) and end - at >= _SHORTEST:
            off.append(float(line[4]) / (end - at) - 1)
    return off


def _off_work(worked: Sequence[tuple[float, str]]) -> list[float]:
    """By how much the share of the photos that were done was off the share of the work, in CPU
    seconds of the command: what would be wrong with the time left on a machine of its own, where
    other programs cannot change the speed. Between the first and the last line of each title.
    """
    by_title: dict[str, list[tuple[float, int, int]]] = {}
    for cpu, line in worked:
        if match := _LEFT.match(line):
            by_title.setdefault(match[1], []).append((cpu, int(match[2]), int(match[3])))
    off = []
    for points in by_title.values():
        (began, first, total), (ended, last, _) = points[0], points[-1]
        for cpu, done, _ in points[1:-1]:
            if done >= _FROM * total and cpu > began and ended > cpu:
                left = (last - done) * (cpu - began) / (done - first)
                off.append(left / (ended - cpu) - 1)
    return off


def _say(taken: _Taken) -> None:
    console.say(
        f"  {taken.command}, {taken.photos} photos: {taken.seconds:.0f} s, "
        f"{taken.rss_mib:.0f} MiB resident, {taken.pss_mib:.0f} proportional"
    )


def _show(taken: Sequence[_Taken]) -> None:
    """The figures, each against those of the fewest photos of its command."""
    rows = []
    for one in taken:
        least = min(
            (other for other in taken if other.command == one.command),
            key=lambda other: other.photos,
        )
        rows.append(
            [
                *(one.command, f"{one.photos:,}", f"{one.seconds:.0f}", f"{one.cpu_seconds:.0f}"),
                *(f"{one.rss_mib:.0f}", f"{one.pss_mib:.0f}"),
                f"{one.rss_mib / least.rss_mib:.2f}",
                f"{100 * max(map(abs, one.off)):.0f} %" if one.off else "-",
                f"{100 * median(map(abs, one.off)):.0f} %" if one.off else "-",
                f"{100 * max(map(abs, one.off_work)):.0f} %" if one.off_work else "-",
                *(
                    "-" if count is None else f"{count:,}"
                    for count in (one.decoded, one.decoded_from)
                ),
            ]
        )
    console.table(
        "Many photos: memory of all processes at the peak, and how far off the time left was",
        [
            *("command", ">photos", ">s", ">CPU s", ">MiB resident", ">MiB proportional", ">ratio"),
            *(">worst", ">median", ">worst by CPU s", ">decoded when killed", ">first shown"),
        ],
        rows,
    )


if __name__ == "__main__":
    run(main)
