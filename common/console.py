"""What the terminal shows: a line per finished step, a bar for long work, tables."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Progress = Callable[[int, int | None], None]

_WIDTH_OF_FILES = 500  # columns: a table that is no terminal's keeps its rows on a line each
_terminal = threading.Lock()  # a terminal shows one bar at a time


def say(text: str) -> None:
    """Print a line about the work. Standard output stays free for results (`--json`)."""
    print(text, file=sys.stderr, flush=True)


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
        yield lambda done, total: display.update(task, completed=done, total=total)


def _plain_lines(title: str, unit: str) -> Progress:
    import time

    last = began = time.monotonic()
    first: int | None = None  # what was done already, as of a download that is continued

    def update(done: int, total: int | None) -> None:
        nonlocal last, first
        first = done if first is None else first
        now = time.monotonic()
        if now - last >= 10:
            last, left = now, ""
            if total and done > first:
                seconds = (total - done) * (now - began) / (done - first)
                left = f", about {seconds:.0f} s left"
            say(f"  {title}: {done} of {total or 'an unknown number of'} {unit}{left}")

    return update


def table(title: str, headers: list[str], rows: list[list[str]]) -> None:
    """Print a table on standard output; columns whose header starts with ">" align right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    display = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for header in headers:
        display.add_column(
            header.removeprefix(">"),
            justify="right" if header.startswith(">") else "left",
            no_wrap=header.startswith(">"),
        )
    for row in rows:
        display.add_row(*(Text.from_markup(cell) for cell in row))
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    console = Console(width=width)
    # rich would end the process with status 1: drift
    console.on_broken_pipe = _reader_went_away  # type: ignore[method-assign]
    console.print(display)


def _reader_went_away() -> None:
    raise BrokenPipeError
