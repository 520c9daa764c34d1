"""Pieces of work at a time: their values, and what an error or an interruption leaves running."""

import os
import signal
import threading
import time

import pytest

from common import process
from common.errors import UserError
from common.side_by_side import side_by_side
from tests.common.test_process import ended


@pytest.mark.parametrize("count", [1, 2, 5])
def test_values_come_in_the_items_order(count):
    def one(pause: float) -> float:
        time.sleep(pause)
        return pause

    assert side_by_side(one, [0.2, 0.0, 0.1], count) == [0.2, 0.0, 0.1]
    assert side_by_side(one, [], count) == []


class Pieces:
    """Work without an end of several kinds, and what of it cleaned up."""

    KINDS = ("program", "stubborn", "steps", "inner", "never begun")

    def __init__(self, pids):
        self.begun = threading.Barrier(len(self.KINDS))  # those that begin, and who ends them
        self.cleaned: list[str] = []
        self._pids = pids

    def work(self, kind: str) -> None:
        try:
            getattr(self, f"_{kind}")()
        finally:
            self.cleaned.append(kind)

    def _program(self) -> None:
        self._run("sleep 301 & echo $! $$ >> {}; wait")

    def _stubborn(self) -> None:
        self._run("trap '' TERM; echo $$ >> {}; while :; do sleep 0.1; done")

    def _run(self, script: str) -> None:
        self.begun.wait(60)
        process.run(["sh", "-c", script.format(self._pids)], what="toy", limit=400)

    def _steps(self) -> None:
        self.begun.wait(60)
        while True:
            process.run(["true"], what="toy", limit=400)

    def _inner(self) -> None:
        def one(script: str) -> None:
            process.run(["sh", "-c", script], what="toy", limit=400)

        self.begun.wait(60)
        side_by_side(one, ["sleep 302", "sleep 303"], 2)


def written(path, lines: int) -> str:
    while not path.exists() or len(path.read_text().splitlines()) < lines:
        time.sleep(0.05)
    return path.read_text()


@pytest.fixture
def pieces(tmp_path) -> Pieces:
    return Pieces(tmp_path / "pids")


def test_an_interruption_ends_them_all(pieces, tmp_path):
    def interrupt() -> None:
        pieces.begun.wait(60)
        written(tmp_path / "pids", 2)
        os.kill(os.getpid(), signal.SIGINT)

    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it
    timer = threading.Thread(target=interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side(pieces.work, pieces.KINDS, 4)
    finally:
        signal.signal(signal.SIGINT, ours)
        timer.join()
    assert sorted(pieces.cleaned) == sorted(pieces.KINDS[:4])
    assert ended((tmp_path / "pids").read_text())
    assert not [one for one in threading.enumerate() if "side_by_side" in one.name]


def test_an_error_ends_the_others(pieces, tmp_path):
    def work(kind: str) -> None:
        if kind != "never begun":
            return pieces.work(kind)
        pieces.begun.wait(60)
        written(tmp_path / "pids", 2)
        raise UserError("a mistake")

    with pytest.raises(UserError, match="a mistake"):
        side_by_side(work, pieces.KINDS, 5)
    assert sorted(pieces.cleaned) == sorted(pieces.KINDS[:4])
    assert ended((tmp_path / "pids").read_text())
