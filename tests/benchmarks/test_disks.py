"""What a campaign says of commands on disks that are full, read-only, or have a quota."""

import textwrap

import pytest

from benchmarks.faults import disks, kills
from benchmarks.faults.commands import Command

GOOD = """
import os, pathlib, sys
place = pathlib.Path("build/made.bin")
new = place.with_name("made.new")
try:
    place.parent.mkdir(exist_ok=True)
    with new.open("wb") as stream:
        stream.write(bytes(1_000_000))
    new.rename(place)
except OSError as error:
    if new.exists():
        new.unlink()
    sys.exit(print(f"error: {error.strerror}", file=sys.stderr) or 2)
"""
BAD = {
    "a traceback": ("sys.exit(print(f", "raise; (print(f"),
    "a half file": ("new.unlink()", "(new.parent / '.made.half').touch()"),
    "what was there lost": ("except OSError as error:",
                            "except OSError as error:\n    os.truncate('photos/val_list.txt', 0)"),
}  # fmt: skip


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Run a script on one of the disks."""

    def attempt(text, number):
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(text))
        one = Command(
            "toy", (str(script),), ("build/*",),
            lambda folder, _: (folder / "build/made.bin").stat().st_size, 1,
        )  # fmt: skip
        monkeypatch.setattr(disks, "COMMANDS", {"toy": one})
        monkeypatch.setattr(kills, "COMMANDS", {"toy": one})
        if problem := disks.lacking(disks.DISKS[number]):
            pytest.skip(problem)
        return disks.try_again("toy", 1, number, tmp_path)

    return attempt


@pytest.mark.parametrize("number", range(len(disks.DISKS)), ids=[one.name for one in disks.DISKS])
def test_a_sentence_and_nothing_left_is_a_refusal(attempt, number, tmp_path):
    found = attempt(GOOD, number)
    said = {"read-only": "Read-only file system", "quota": "Disk quota exceeded"}
    wanted = said.get(disks.DISKS[number].name, "No space left on device")
    assert (found.what, found.said) == ("refused", f"error: {wanted}")
    assert list((tmp_path / "disk").iterdir()) == []  # it is unmounted


@pytest.mark.parametrize(
    ("how", "found"),
    [("a traceback", "status 1"), ("a half file", "left behind"),
     ("what was there lost", "lost or half-written")],
)  # fmt: skip
def test_a_fault_is_found(attempt, how, found):
    assert attempt(GOOD.replace(*BAD[how]), 1).what == found
