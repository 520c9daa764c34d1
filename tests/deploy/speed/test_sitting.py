"""What an interrupted benchmark had finished, and which of how many figures is taken."""

import datetime
import re

import pytest

from common import files
from deploy.speed import latency
from deploy.speed.sitting import Sitting

SECONDS = 10.0


def take(sitting: Sitting, question: str, figure: float) -> float:
    """One figure, which is `figure` where it is measured."""
    taken = sitting.take(
        "M", f"M {question}", {"what": question}, SECONDS, lambda: {"median_ms": figure}
    )
    assert datetime.datetime.fromisoformat(taken["taken"]).tzinfo
    return taken["median_ms"]


@pytest.fixture
def kept(build_folder):
    """The file of the one figure, 1.0, that an interrupted command took."""
    take(Sitting([SECONDS] * 3), "a", 1.0)
    (path,) = latency.unfinished("M").iterdir()
    return path


def test_a_figure_counts_until_its_command_is_through(kept, capsys):
    sitting = Sitting([SECONDS] * 2)
    assert (take(sitting, "a", 2.0), take(sitting, "b", 3.0)) == (1.0, 3.0)
    said = capsys.readouterr().err
    assert re.search(r"^  1 of 2: M a: taken over, \d+ s old \(load ", said, re.M)
    assert "  timing 2 of 2: M b; at most about 10 s for all\n" in said
    assert sitting.reused().startswith("1 of 2 figures were taken over")
    sitting.finish()
    assert not kept.parent.exists()
    after = Sitting([SECONDS])
    assert take(after, "a", 4.0) == 4.0
    assert after.reused() == ""


def test_another_question_and_a_fresh_start_are_measured(kept):
    assert take(Sitting([SECONDS]), "b", 2.0) == 2.0
    assert take(Sitting([SECONDS], fresh=True), "a", 3.0) == 3.0
    assert take(Sitting([SECONDS]), "a", 4.0) == 3.0


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("governor", "performance of old", "governor was performance of old, now "),
        ("started", "before", "started was before, now "),
        ("cpu", "a 486", "cpu was a 486, now "),
    ],
)
def test_a_machine_in_another_state_measures_anew(kept, capsys, field, value, said):
    found = files.read_json(kept)
    files.write_json(kept, {**found, "state": {**found["state"], field: value}})
    assert take(Sitting([SECONDS]), "a", 2.0) == 2.0
    assert f"not taken over from an interrupted benchmark: {said}" in capsys.readouterr().err


@pytest.mark.parametrize("hours", [-1, 25])
def test_a_figure_of_yesterday_is_none_of_today(kept, capsys, hours):
    found = files.read_json(kept)
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=hours)
    found["figure"]["taken"] = then.isoformat()
    files.write_json(kept, found)
    other = Sitting([SECONDS])
    assert take(other, "b", 1.0) == 1.0
    other.finish()
    assert kept.exists() == (hours < 0)  # what is too old is swept away
    files.write_json(kept, found)
    assert take(Sitting([SECONDS]), "a", 2.0) == 2.0
    assert f"it is from {then.isoformat()}" in capsys.readouterr().err


def test_rubbish_is_measured_anew(kept):
    kept.write_text("{")
    assert take(Sitting([SECONDS]), "a", 2.0) == 2.0


def test_what_is_left_out_is_expected_no_more(build_folder, capsys):
    sitting = Sitting([SECONDS, SECONDS, 600.0, SECONDS])
    take(sitting, "a", 1.0)
    sitting.leave_out([600.0])
    take(sitting, "b", 1.0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "  timing 1 of 4: M a; at most about 10 min for all"
    assert second == "  timing 2 of 3: M b; about 0 s left"  # by the pace of the first
