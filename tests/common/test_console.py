"""What long work says of itself where there is no terminal, and tables where one is narrow."""

import re

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


# ---- tables ----

HEADERS = ["model", "target", ">photos", ">drift pp", "<95 % interval", ">max rel", "verdict"]
ROWS = [
    ["SqueezeNet1_1", target, "47", "+0.00", "-37.27 … +37.27", "1.2e-03", verdict]
    for target, verdict in (
        ("trt-v100", console.colored("undecided", "yellow")),
        ("trt-t4", console.colored("unavailable", "yellow")),
        ("openvino (arm) [red]", "pass"),
    )
]


@pytest.fixture
def screen(monkeypatch, capsys):
    """The lines of a table on a terminal of so many columns, without colours."""

    def show(width: int, **options) -> list[str]:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(width))
        console.table("Verdicts", HEADERS, ROWS, **options)
        plain = re.sub("\x1b\\[[\\d;]*m", "", capsys.readouterr().out)
        return [line.rstrip() for line in plain.splitlines()]

    return show


def test_figures_give_way_where_a_terminal_is_narrow(screen):
    wide, narrow = screen(120), screen(64, important=("drift pp",))
    assert len(wide) == len(narrow) - 1 == 5
    for header in HEADERS:
        assert header.lstrip("<>") in wide[1]
    assert narrow[1].split() == ["model", "target", "drift", "pp", "verdict"]
    for line, (model, target, *_, verdict) in zip(narrow[2:], ROWS, strict=False):
        assert re.fullmatch(rf"{model} +{re.escape(target)} +\+0\.00 +{verdict}", line)
    assert narrow[-1] == "(photos, 95 % interval, max rel: on a wider terminal, or in a file)"


def test_what_identifies_a_row_and_its_verdict_are_never_cut(screen):
    lines = screen(44)
    assert [line.split()[-1] for line in lines if line.startswith("SqueezeNet")] == [
        "undecided",
        "unavailable",
        "pass",
    ]
    left = re.sub(r"\s", "", "".join(lines[2:-1]))
    for _, target, *_ in ROWS:
        assert re.sub(r"\s", "", target)[:6] in left


def test_many_columns_that_are_all_needed_stand_in_parts(monkeypatch, capsys):
    targets = [f"{name} {kind}" for name in ("openvino", "trt-v100") for kind in ("fp16", "int8")]
    rows = [["ResNeSt50_fast_1s1x64d", "undecided", "pass", "unavailable", "fail"]] * 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    for width, parts in ((120, 1), (60, 2), (40, 4)):
        monkeypatch.setenv("COLUMNS", str(width))
        console.table_in_parts("Verdicts", ["model", *targets], rows)
        lines = re.sub("\x1b\\[[\\d;]*m", "", capsys.readouterr().out).splitlines()
        assert max(map(len, lines)) <= width
        told = [line.split() for line in lines if line.startswith("ResNeSt50_fast_1s1x64d ")]
        assert len(told) == 2 * parts
        assert [cell for words in told[::2] for cell in words[1:]] == rows[0][1:]
        for target in targets:
            for word in target.split():
                assert any(word in line.split() for line in lines)


def test_a_name_does_not_control_the_terminal(capsys):
    console.say("  a \x1b[31mred\u202e file\x07, Größe 猫")
    assert capsys.readouterr().err == r"  a \x1b[31mred\u202e file\x07, Größe 猫" + "\n"


def test_a_cell_is_shown_as_it_is(capsys):
    console.table("[b]", ["[red]"], [["cat [/b]"], ["dog [small]"]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["[b]", "[red]", "cat [/b]", "dog [small]"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3599, "1 h 0 min"), (12_000, "3 h 20 min")],
)
def test_a_time_in_words(seconds, words):
    assert console.span(seconds) == words
