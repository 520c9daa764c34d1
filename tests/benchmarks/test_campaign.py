"""`make campaign`: a few damaged files of every kind by a fixed seed, and what finds faults."""

import dataclasses
import json

import pytest

from benchmarks.campaign import main
from benchmarks.faults import record as records
from benchmarks.faults.judging import Outcome, damaged, judge
from benchmarks.faults.kinds import Kind
from benchmarks.faults.record import Record, Tally, read_record, write_page
from benchmarks.faults.registry import all_kinds
from common.errors import StepError, UserError
from runtimes.environments import SERVE

PLAIN = [kind for kind in all_kinds() if not kind.native]
SEED, MANY = 19, 25


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.name)
def test_a_damaged_file_is_refused_with_a_sentence_or_right(kind, tmp_path):
    found = list(judge(kind, SEED, range(MANY), tmp_path))
    assert [one for one in found if one.is_fault] == []
    assert len(found) == MANY


@pytest.mark.skipif(bool(SERVE.problem()), reason=str(SERVE.problem()))
def test_a_damaged_request_is_refused_or_answered_right(build_folder, tmp_path):
    [kind] = (kind for kind in all_kinds() if kind.name == "rest-json")
    found = list(judge(kind, SEED, range(MANY), tmp_path))
    assert [one for one in found if one.is_fault] == []
    assert {one.what for one in found} == {"refused", "right"}


def reader(what):
    """A kind whose reader does something that it may not."""

    def read(folder, good):
        if (folder / "a").read_bytes() != b"bad":  # also the empty one that comes first
            return True
        return what(folder)

    mutators = (lambda rng, data: b"bad",)
    return Kind("fake", "a test", lambda: [{"a": b"good"}], ("a",), mutators, read, 1)


def executes(folder):
    exec("import os; os.system('true')")
    raise UserError("refused")


def writes_outside(folder):
    (folder / "../../../outside").write_text("x")
    raise UserError("refused")


def leaves_a_temporary_file(folder):
    import tempfile

    tempfile.mkstemp()
    return True


def makes_the_canary(folder):
    (folder / "canary").write_text("x")
    return True


def takes_memory(folder):
    bytearray(b"x") * (100 << 20)
    return True


def says_much(folder):
    print("\x1b[31mred")
    return True


def dies(folder):
    import ctypes

    ctypes.string_at(0)


def raises(error):
    def read(folder):
        raise error

    return read


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (raises(UserError("a sentence")), "refused"),
        (raises(StepError("a sentence")), "refused"),
        (lambda folder: True, "right"),
        (lambda folder: False, "refused"),
        (raises(KeyError("x")), "traceback"),
        (says_much, "no sentence"),
        (raises(MemoryError()), "memory"),
        (takes_memory, "memory"),
        (executes, "code executed"),
        (makes_the_canary, "code executed"),
        (writes_outside, "outside"),
        (leaves_a_temporary_file, "left behind"),
        (dies, "crash"),
    ],
)
def test_a_fault_is_found(what, found, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.faults.judging.MEMORY", 50 << 20)
    outcomes = list(judge(reader(what), 1, [5, 6], tmp_path / "inner"))
    assert [one.what for one in outcomes] == [found] * 2
    assert [one.number for one in outcomes] == [5, 6]  # a child that died is replaced


def test_a_kind_whose_good_file_is_not_right_is_no_fault_of_the_files(tmp_path):
    def wrong(folder, good):
        raise KeyError

    kind = Kind("fake", "a test", lambda: [{"a": b""}], ("a",), (), wrong, 1)
    with pytest.raises(StepError, match="fake: the good files"):
        list(judge(kind, 1, [0], tmp_path))


def test_a_case_is_the_same_again():
    for kind in PLAIN:
        one, again, other = (damaged(kind, seed, 7, kind.make()) for seed in (1, 1, 2))
        assert one == again
        assert one != other


def test_a_campaign_goes_on_and_writes_its_page(build_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.campaign.all_kinds", lambda: [small])
    [kind] = (one for one in PLAIN if one.name == "gpu-check")
    small = dataclasses.replace(kind, batch=10)
    page = tmp_path / "page.md"
    names = ("files", "kills", "disks", "faults")
    marks = "".join(f"<!-- campaign: {n} -->\n<!-- end of campaign: {n} -->\n" for n in names)
    page.write_text(f"# before\n{marks}after\n")
    tried = [0]
    for _ in range(2):
        words = ["--kinds", "gpu-check", "--minutes", "0.001", "--page", str(page), "--seed", "3"]
        monkeypatch.setattr("sys.argv", ["benchmarks/campaign.py", *words])
        assert main() == 0
        kept = read_record(build_folder / "campaign" / "campaign.json")
        tried.append(kept.files["gpu-check"].tried)
        assert "seed 3" in capsys.readouterr().out
    assert 0 < tried[1] < tried[2] and all(one % 10 == 0 for one in tried)
    text = page.read_text()
    assert text.startswith("# before\n") and text.endswith("after\n")
    row = next(line for line in text.splitlines() if line.startswith("| gpu-check"))
    tally = kept.files["gpu-check"]
    assert row.split(" | ")[2:] == [str(tried[2]), str(tally.refused), str(tally.right), "0", "0 |"]


def test_a_fault_counts_once_and_is_mended_by_its_case():
    record, tally = Record(seed=1), Tally()
    for number in (4, 5):
        record.take(Outcome("k", 1, number, "traceback", "said", "KeyError in a.py: f"), tally)
    [fault] = record.open_faults
    assert (fault.case, fault.times, tally.faults, tally.next) == ("1:k:4", 2, 2, 6)
    record.mend("1:k:4")
    assert record.open_faults == []
    record.take(Outcome("k", 1, 9, "traceback", "said", "KeyError in a.py: f"), tally)
    assert [one.case for one in record.open_faults] == ["1:k:9"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kinds", "pdparam"], "did you mean pdparams"),
        (["--case", "7"], "write seed:kind:number"),
        (["--case", "7:nosuch:1"], "write seed:kind:number"),
    ],
)
def test_mistakes_are_refused(words, said, monkeypatch, build_folder):
    monkeypatch.setattr("sys.argv", ["benchmarks/campaign.py", *words])
    with pytest.raises(UserError, match=said):
        main()


def test_a_record_that_is_none_and_a_page_without_a_place(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"seed": "x"}))
    with pytest.raises(UserError, match="seed"):
        read_record(tmp_path / "r.json")
    (tmp_path / "page.md").write_text("no markers")
    with pytest.raises(UserError, match="no place for a table"):
        write_page(tmp_path / "page.md", records.tables(Record(seed=1), []))
