"""What the terminal shows: a line per finished step, a bar for long work, tables."""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Progress = Callable[[int, int | None], None]

_WIDTH_OF_FILES = 500  # columns: a table that is no terminal's keeps its rows on a line each
_WORD = 16  # columns of the longest word, such as a verdict, that is to stay in one piece
_GAP = 2  # columns between two of a table's
_terminal = threading.Lock()  # a terminal shows one bar at a time


def say(text: str) -> None:
    """Print a line about the work. Standard output stays free for results (`--json`)."""
    print(harmless(text), file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """A text as a terminal may show it: what would control the terminal, or turn the direction of
    the line, is written as its code. Files' names and contents come into sentences as they are."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


@functools.cache
def say_once(text: str) -> None:
    """Print a line about the work, unless this process has said it before."""
    say(text)


def report(
    step: str, model: str, precision: str, seconds: float, path: Path, note: str = ""
) -> None:
    """The line of a finished step: what, how long, which file, how large."""
    size = f"{path.stat().st_size / 1e6:7.1f} MB"
    behind = f"  ({note})" if note else ""
    say(f"  {step:<12} {model} {precision:<5} {seconds:6.1f} s  {size}  {shown(path)}{behind}")


def span(seconds: float) -> str:
    """A time in words, as a person would round it: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def shown(path: Path) -> str:
    """A path as short as it can be said from the working folder."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


@contextlib.contextmanager
def progress(title: str, unit: str) -> Iterator[Progress]:
    """Show how far long work is: yields a callback that takes (done, total).

    A bar with rate and time left on a terminal; elsewhere, and for a second bar at the same time,
    a plain line every ten seconds, with the time left.
    `unit` is "photos", or "bytes" for downloads.
    """
    if sys.stderr.isatty() and _terminal.acquire(blocking=False):
        try:
            with _bar(title, unit) as update:
                yield update
        finally:
            _terminal.release()
    else:
        yield _plain_lines(title, unit)


@contextlib.contextmanager
def _bar(title: str, unit: str) -> Iterator[Progress]:
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.text import Text

    class Rate(rich_progress.ProgressColumn):
        def render(self, task: rich_progress.Task) -> Text:
            return Text(f"{task.speed:.0f} {unit}/s" if task.speed else "")

    amount = (
        (rich_progress.DownloadColumn(), rich_progress.TransferSpeedColumn())
        if unit == "bytes"
        else (rich_progress.MofNCompleteColumn(), Rate())
    )
    columns = (
        rich_progress.TextColumn("  {task.description}"),
        rich_progress.BarColumn(),
        *amount,
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(title, total=None)
        begun = False

        def update(done: int, total: int | None) -> None:
            nonlocal task, begun
            if not begun:  # what was done before must not count as speed
                display.remove_task(task)
                task = display.add_task(title, total=total, completed=done)
                begun = True
            display.update(task, completed=done, total=total)

        yield update


def _plain_lines(title: str, unit: str) -> Progress:
    import time

    last = began = time.monotonic()
    first: int | None = None  # what was done already, as of a download that is continued

    def update(done: int, total: int | None) -> None:
        nonlocal last, first, began
        now = time.monotonic()
        if first is None:
            first, began = done, now
        if now - last >= 10:
            last, left = now, ""
            if total and done > first:
                seconds = (total - done) * (now - began) / (done - first)
                left = f", about {seconds:.0f} s left"
            say(f"  {title}: {done} of {total or 'an unknown number of'} {unit}{left}")

    return update


class _Colored(str):
    """A cell that has a colour."""

    __slots__ = ("color",)

    color: str


def colored(text: str, color: str) -> str:
    """A cell for `table` in a colour ("green", "yellow", "red")."""
    cell = _Colored(text)
    cell.color = color
    return cell


def table(
    title: str, headers: list[str], rows: list[list[str]], important: tuple[str, ...] = ()
) -> None:
    """Print a table on standard output, every cell as it is.

    Headers that start with ">" or "<" are of figures, aligned right or left. On a terminal that is
    too narrow figures give way, those on the right first and the `important` ones last, and a line
    names them; what the others have in a cell is never cut, but may take two lines.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=_width())
    names = [header.lstrip("<>") for header in headers]
    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    figures = [at for at, header in enumerate(headers) if header != names[at]]
    # Those that are left out first, from the right.
    figures = sorted(figures, key=lambda at: (names[at] in important, -at))
    shown = list(range(len(headers)))
    for at in figures:
        if sum(widths[one] + _GAP for one in shown) - _GAP > console.width:
            shown.remove(at)
    display = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    last = max((at for at in shown if names[at]), default=0)
    for at in shown:
        display.add_column(
            Text(names[at]),
            justify="right" if headers[at].startswith(">") else "left",
            no_wrap=at in figures or (at == last and widths[at] <= _WORD),
            overflow="fold",
        )
    for row in rows:
        display.add_row(*(Text(row[at], style=getattr(row[at], "color", "")) for at in shown))
    # rich would end the process with status 1: drift
    console.on_broken_pipe = _reader_went_away  # type: ignore[method-assign]
    console.print(display)
    if len(shown) < len(headers):
        left_out = ", ".join(name for at, name in enumerate(names) if at not in shown)
        print(f"({left_out}: on a wider terminal, or in a file)")


def table_in_parts(title: str, headers: list[str], rows: list[list[str]]) -> None:
    """Print a table of many columns that are all needed: where a terminal is too narrow for them
    side by side they stand in parts, below each other, each with the first column."""
    from rich.cells import cell_len
    from rich.console import Console

    width = _width() or Console().width
    columns = list(zip(headers, *rows, strict=True))
    if sum(max(map(cell_len, column)) + _GAP for column in columns) - _GAP > width:
        headers = [header.replace(" ", "\n") for header in headers]
    needed = [
        max(map(cell_len, [*header.split("\n"), *column[1:]]))
        for header, column in zip(headers, columns, strict=True)
    ]
    parts: list[list[int]] = [[]]
    left = room = width - needed[0]
    for at in range(1, len(headers)):
        left -= needed[at] + _GAP
        if left < 0 and parts[-1]:
            parts.append([])
            left = room - needed[at] - _GAP
        parts[-1].append(at)
    for number, part in enumerate(parts):
        if number:
            print()
        shown = [0, *part]
        table(
            title if not number else f"{title} ({number + 1})",
            [headers[at] for at in shown],
            [[row[at] for at in shown] for row in rows],
        )


def _width() -> int | None:
    """How wide a table may be; None: as the terminal."""
    return None if sys.stdout.isatty() else _WIDTH_OF_FILES


def _reader_went_away() -> None:
    raise BrokenPipeError
