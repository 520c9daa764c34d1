"""Several pieces of work at a time, in threads that an interruption ends, too."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from common import process

Item = TypeVar("Item")
Value = TypeVar("Value")

_LOOKS = 0.1  # seconds between two looks at the threads
_GRACE = 0.5  # seconds for programs to end in, before they are made to
_PATIENCE = 2.0  # seconds for threads to clean up in, before they are left behind


def side_by_side(
    function: Callable[[Item], Value], items: Iterable[Item], count: int
) -> list[Value]:
    """The function's value for each item, in their order; `count` of them are worked on at a time.

    Whatever ends the wait, an interruption or the first error, ends the other pieces, too: what is
    not begun is dropped, and every program that this process has started is ended, so that whoever
    waits for one cleans up. Nothing can interrupt a thread that computes itself: it goes on until
    it would start a program, or until this process ends, which does not wait for it.
    """
    items = list(items)
    if count == 1 or len(items) == 1:
        return [function(item) for item in items]
    crew = _Crew(function, items, count)
    try:
        return crew.values()
    except BaseException:
        crew.dismiss()
        raise


class _Crew(Generic[Item, Value]):
    """Threads that take the next item each until there is none."""

    def __init__(self, function: Callable[[Item], Value], items: list[Item], count: int):
        self._function, self._items = function, items
        self._open: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Value] | BaseException] = queue.SimpleQueue()
        for number in range(len(items)):
            self._open.put(number)
        self._threads = [
            threading.Thread(target=self._work, name=f"{__name__} {number}", daemon=True)
            for number in range(min(count, len(items)))
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                self._done.put((number, self._function(self._items[number])))
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - goes to who waits
                self._done.put(error)

    def _next(self) -> int | None:
        try:
            return self._open.get_nowait()
        except queue.Empty:
            return None

    def values(self) -> list[Value]:
        found: dict[int, Value] = {}
        while len(found) < len(self._items):
            try:
                answer = self._done.get(timeout=_LOOKS)
            except queue.Empty:
                continue
            if isinstance(answer, BaseException):
                raise answer
            number, value = answer
            found[number] = value
        return [found[number] for number in range(len(self._items))]

    def dismiss(self) -> None:
        """End the threads, and all that they wait for."""
        while self._next() is not None:
            pass
        started = time.monotonic()
        with process.none_starts():
            while any(thread.is_alive() for thread in self._threads):
                passed = time.monotonic() - started
                if passed > _PATIENCE:
                    break
                process.end_all(at_once=passed > _GRACE)
                time.sleep(_LOOKS)
