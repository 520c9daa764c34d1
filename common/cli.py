"""What every command has in common: its arguments, one-line errors and exit statuses."""

import argparse
import contextlib
import enum
import errno
import io
import locale
import math
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn, TextIO

from common import make_words, paths, process
from common.console import harmless
from common.errors import StepError, UserError, suggest
from common.temporary import sweep


class Exit(enum.IntEnum):
    """The exit statuses of every command."""

    OK = 0
    BROKEN = 1  # drift or a numeric gate
    USAGE = 2  # bad input
    UNDECIDED = 3  # hardware absent, too few photos, or an estimate only
    BUG = 70
    INTERRUPTED = 130


# ---- arguments ----


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, and which takes no abbreviations.

    `--make TARGET …`, as the Makefile calls every command, stands for the words on make's command
    line (see `common.make_words`).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog="With make each argument is a word: KEEP_FLOAT=… for --keep-float, JSON=1.",
            **options,
        )
        self._target = ""  # of make, where that called

    def parse_args(self) -> argparse.Namespace:  # type: ignore[override] # takes no other's
        """The arguments that this process was started with."""
        if sys.argv[1:2] == [make_words.FLAG] and sys.argv[2:]:
            self._target, *goals = sys.argv[2:]
            words = make_words.typed(os.environ.get("MAKEFLAGS", ""))
            # In place: a command may start itself anew.
            sys.argv[1:] = make_words.arguments(self._actions, self._target, goals, words)
            paths.settle_variables()
            for action in self._actions:
                turned_on = "=1" * (action.nargs == 0)
                _words_of_make.update(
                    {flag: make_words.word(flag) + turned_on for flag in action.option_strings}
                )
        options, unknown = self.parse_known_args()
        if unknown:
            known = [action.option_strings[-1].lstrip("-") for action in self._actions]
            nearest = suggest(unknown[0].lstrip("-"), known)
            self.error(f"there is no argument {unknown[0]}, {nearest}")
        return options

    def words(self, options: argparse.Namespace, without: Collection[str]) -> list[str]:
        """The command line that gives these options, but those of the names in `without`."""
        found: list[str] = []
        for action in self._actions:
            value = getattr(options, action.dest, action.default)
            if action.dest in without or value == action.default or value is None:
                continue
            flag = action.option_strings[-1]
            if value is True:
                found.append(flag)
            else:
                for one in value if isinstance(value, list) else [value]:
                    found += [flag, str(one)]
        return found

    def error(self, message: str) -> NoReturn:
        help_ = f"make {self._target} HELP=1" if self._target else f"{self.prog} --help"
        raise UserError(f"{message.removeprefix('argument ')} (see {help_})")


def whole(low: int = 0, high: int | None = None) -> Callable[[str], int]:
    """An argument that is a whole number within these bounds."""
    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"

    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            value = int(text)
            if low <= value and (high is None or value <= high):
                return value
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number {bounds}")

    return read


positive = whole(1)


def number(text: str) -> float:
    """An argument that is a finite number of at least 0."""
    with contextlib.suppress(ValueError):
        value = float(text)
        if 0 <= value < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0")


def percent(text: str) -> float:
    """An argument that is a share in percent, above 0; the share."""
    with contextlib.suppress(argparse.ArgumentTypeError):
        if 0 < (value := number(text)) <= 100:
            return value / 100
    raise argparse.ArgumentTypeError(f"'{text}' is not a share in percent, above 0 and up to 100")


def above_zero(text: str) -> float:
    """An argument that is a finite number above 0."""
    with contextlib.suppress(argparse.ArgumentTypeError):
        if value := number(text):
            return value
    raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")


def choice(*known: str) -> Callable[[str], str]:
    """An argument that is one of some words."""

    def read(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown '{text}', {suggest(text, known)}")
        return text

    return read


def several(item: Callable[[str], object]) -> Callable[[str], tuple]:
    """An argument that is a list with commas; each item once, in the order given."""

    def read(text: str) -> tuple:
        return tuple(dict.fromkeys(item(word.strip()) for word in text.split(",")))

    return read


def word_or_path(*known: str) -> Callable[[str], str]:
    """An argument that is one of some words, or else a path, which is made absolute.

    What is no path, and nearly such a word, is refused as a mistyped one.
    """

    def read(text: str) -> str:
        if text in known:
            return text
        found = paths.absolute(text)
        close = suggest(text, known)
        if "/" not in text and close.startswith("did you mean") and not found.exists():
            raise argparse.ArgumentTypeError(f"no file or folder '{text}' is here, {close}")
        return str(found)

    return read


# ---- the end ----


_DISK_ERRORS = {
    errno.ENOSPC: "no space left on the disk; free some and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EFBIG: "larger than a file may be there (ulimit -f, or a FAT disk); choose another place "
    "(OUT=, BUILD_DIR= or XDG_CACHE_HOME=)",
    errno.EIO: "the disk failed (input/output error); see its health, or choose another place",
    errno.EROFS: "that place is read-only; choose another (OUT=, BUILD_DIR= or XDG_CACHE_HOME=)",
    errno.EACCES: "no permission; make it accessible or choose another place",
}
_LONGEST = 200  # characters of an exception's own words
_LONGEST_WORD = 240  # characters; paths are words, too
# What a status means, for make's last line: "Error 3" looks like a crash (see the Makefile).
_IN_WORDS = {
    Exit.BROKEN: "something is outside of its budget, or broken, as said above; next: mend that, "
    "or allow more with BUDGET= where it is drift",
    Exit.UNDECIDED: "this is no error: not decided, as hardware is absent or the photos are too "
    "few; next: more photos (DATA=/your/photos), or see what is missing here (make doctor)",
}
NOTHING_HERE = (
    "this is no error: there was nothing to do, as no model has weights here; next: name a model "
    "and its weights (MODEL=… WEIGHTS=…), or make demo"
)
NOT_HERE = (
    "this is no error: some of it cannot be done on this machine, as said above; next: name "
    "targets that can (TARGET=onnx), or see what is missing (make doctor)"
)
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_SAID = "PORTAGE_SAID"  # the file in which make looks for its last line
_last_words: list[str] = []
_words_of_make: dict[str, str] = {}  # of each argument, where make called


def end_with(words: str) -> None:
    """Let make's last line say this instead of what a status usually means: what there is to it,
    and what to type next."""
    _last_words[:] = [words]


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command's main function and end the process with its exit status.

    A UserError, and an OSError that says that a file cannot be had or written, become one line
    on standard error and status 2; a StepError one line and status 1. Anything else is a bug:
    one line that says where its traceback is, and status 70.
    """
    said = os.environ.pop(_SAID, None)
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show stops nothing; files are UTF-8 (see `common.start`).
        if isinstance(stream, io.TextIOWrapper):  # a test's need not be
            stream.reconfigure(encoding=_terminal_encoding(stream), errors="replace")
    take_signals()
    if said:  # a signal to make ends its shell, which passes nothing on
        process.end_with_parent(signal.SIGTERM)
    try:
        paths.settle_variables()
        with contextlib.suppress(OSError):  # no place for temporary files: not all need one
            sweep(Path(tempfile.gettempdir()))
        status = int(main())
        sys.stdout.flush()
        if said and status in _IN_WORDS:
            [words] = _last_words or [_IN_WORDS[Exit(status)]]
            _tell_make(said, f"status {status}: {words}")
    except BrokenPipeError:
        # The reader went away (`| head`): nothing left to say, and flushing at exit must not.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Exit.OK
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort
        status = complain(error)
    sys.exit(status)


def _tell_make(path: str, words: str) -> None:
    """Leave make its last line; where that cannot be written, it comes before make's own."""
    try:
        with open(path, "x", encoding="utf-8") as stream:  # noqa: PTH123 - made by nobody else
            stream.write(words)
    except OSError:
        print(words, file=sys.stderr)


def take_signals() -> None:
    """Let SIGTERM and SIGHUP interrupt this process; a library may have taken them."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> NoReturn:
    """Take a signal as Ctrl-C, so that all is cleaned up; once, since make passes it on, too."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt(
        f"ended by {signal.Signals(number).name}; what was finished is kept, run again to go on"
    )


def _terminal_encoding(stream: TextIO) -> str:
    known = locale.getencoding()
    ours = not stream.isatty() or "PYTHONIOENCODING" in os.environ or "ANSI" in known
    return stream.encoding if ours else known


def complain(error: BaseException) -> Exit:
    """Say in one line on standard error why a command ends; returns its exit status."""
    status, sentence = _explain(error)
    sentence = _FLAG.sub(lambda flag: _words_of_make.get(flag[0], flag[0]), sentence)
    print(f"error: {harmless(' '.join(map(_cut, sentence.split())))}", file=sys.stderr)
    return status


def _cut(word: str) -> str:
    """A word of a sentence, its middle left out where it is a damaged file's, and no word."""
    half = _LONGEST_WORD // 2
    return word if len(word) <= _LONGEST_WORD else f"{word[:half]}…{word[-half:]}"


def _explain(error: BaseException) -> tuple[Exit, str]:
    if isinstance(error, UserError):
        return Exit.USAGE, str(error)
    if isinstance(error, StepError):
        return Exit.BROKEN, str(error)
    if isinstance(error, KeyboardInterrupt):
        usual = "interrupted; what was finished is kept, run again to go on"
        said = str(error)  # several lines are Paddle's, about where it was just then
        return Exit.INTERRUPTED, said if said and "\n" not in said else usual
    if isinstance(error, MemoryError):
        return Exit.USAGE, "not enough memory; end other programs, or ask for less at a time"
    if isinstance(error, ModuleNotFoundError) and not _is_ours(error.name or ""):
        return Exit.USAGE, f"the environment lacks {error.name}; remove .venv and run: make setup"
    if isinstance(error, OSError):
        if isinstance(error.filename, str) and (variable := _useless_place(error.filename)):
            return Exit.USAGE, (
                f"{error.filename}: {error.strerror}; name a folder that can be written to: "
                f"{variable}=/path/to/a/folder"
            )
        if error.errno in _DISK_ERRORS:
            return Exit.USAGE, f"{error.filename or 'disk'}: {_DISK_ERRORS[error.errno]}"
    said = f"{type(error).__name__}: {error}"[:_LONGEST]
    return Exit.BUG, f"a bug in the toolkit ({said}); its traceback: {_keep(error)}"


def _is_ours(module: str) -> bool:
    return (paths.ROOT / module.partition(".")[0]).is_dir()


def _useless_place(failed: str) -> str | None:
    """The variable that would name another folder, where ours for that path cannot be used."""
    places = {"BUILD_DIR": paths.build_root, "XDG_CACHE_HOME": paths.cache_root, "HOME": paths.home}
    for variable, find in places.items():
        with contextlib.suppress(UserError):
            root = find()
            if Path(failed).is_relative_to(root) or root.is_relative_to(failed):
                try:
                    root.mkdir(parents=True, exist_ok=True)
                except OSError:
                    return variable
                if not os.access(root, os.W_OK | os.X_OK):
                    return variable
    return None


def _keep(error: BaseException) -> Path | str:
    """Write the traceback into the cache, else into the folder for temporary files."""
    name = f"{time.strftime('%Y-%m-%d-%H%M%S')}-{Path(sys.argv[0]).stem}-{os.getpid()}.txt"
    text = f"{sys.argv}\n\n{''.join(traceback.format_exception(error))}"
    for find in (paths.cache_root, lambda: Path(tempfile.gettempdir()) / "paddle-portage"):
        with contextlib.suppress(OSError, UserError):
            kept = find() / "crashes" / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(text, encoding="utf-8", errors="backslashreplace")
            return kept
    return f"nowhere, as no folder can be written to: {text}"
