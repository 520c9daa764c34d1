"""What long work says of itself where there is no terminal."""

import pytest

from common import console


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_a_line_every_ten_seconds_with_the_time_left(clock, capsys):
    with console.progress("VGG16 on onnx", "photos") as update:
        update(0, 40)
        clock(9)
        update(5, 40)
        clock(3)
        update(10, 40)
        clock(3)
        update(12, 40)
    assert capsys.readouterr().err == "  VGG16 on onnx: 10 of 40 photos, about 36 s left\n"


def test_what_was_there_before_is_no_speed(clock, capsys):
    with console.progress("fetching", "bytes") as update:
        update(500, 1000)
        clock(10)
        update(500, 1000)
        clock(10)
        update(750, 1000)
        clock(10)
        update(800, None)
    assert capsys.readouterr().err.splitlines() == [
        "  fetching: 500 of 1000 bytes",
        "  fetching: 750 of 1000 bytes, about 20 s left",
        "  fetching: 800 of an unknown number of bytes",
    ]
