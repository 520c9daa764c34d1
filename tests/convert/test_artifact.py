"""Artifacts: found again when nothing changed, rebuilt when something did, never half-written."""

import multiprocessing
import os
import signal
import time

import pytest

from common import files
from common.errors import StepError, UserError
from convert import artifact
from convert.artifact import Build, Step, load, produce


class Maker:
    """Counts how often it had to work."""

    def __init__(self, content: bytes = b"weights"):
        self.content = content
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "model.onnx").write_bytes(self.content)
        return {"nodes": 66}


def step(**changes) -> Step:
    facts = {
        "name": "copy",
        "build": Build("Toy", "Toy"),
        "kind": "onnx",
        "precision": "fp32",
        "inputs": {"weights": "abc"},
        "parameters": {"opset": 17},
        "tools": {"onnx": "1.17.0"},
        "code": (Maker,),
    }
    return Step(**facts | changes)


@pytest.fixture
def made(build_folder):
    maker = Maker()
    return produce(step(), maker, shows="model.onnx"), maker


def test_an_artifact_is_a_folder_with_files_and_a_manifest(made, build_folder):
    result, _ = made
    assert result.folder == build_folder / "Toy" / "onnx" / "fp32"
    manifest = files.read_json(result.folder / "manifest.json")
    assert manifest["key"] == step().key
    assert manifest["facts"] == {"nodes": 66}
    assert manifest["files"]["model.onnx"]["bytes"] == 7
    assert manifest["files"]["model.onnx"]["sha256"] == files.sha256(result.file("model.onnx"))
    assert {path.name for path in result.folder.parent.iterdir()} == {"fp32", ".fp32.lock"}


def test_the_same_step_again_does_nothing(made):
    result, maker = made
    assert produce(step(), maker, shows="model.onnx") == result
    assert maker.calls == 1


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"weights": "abd"}},
        {"parameters": {"opset": 13}},
        {"tools": {"onnx": "1.18.0"}},
        {"code": ("convert.to_fp16:to_fp16",)},
    ],
)
def test_whatever_goes_in_decides_the_key(made, change):
    _, maker = made
    produce(step(**change), maker, shows="model.onnx")
    assert maker.calls == 2


def test_a_changed_file_is_built_again(made):
    result, maker = made
    result.file("model.onnx").write_bytes(b"Weights")
    assert load(result.folder) is None
    produce(step(), maker, shows="model.onnx")
    assert maker.calls == 2
    assert result.file("model.onnx").read_bytes() == b"weights"


def test_a_touched_file_is_not(made):
    result, maker = made
    os.utime(result.file("model.onnx"))
    produce(step(), maker, shows="model.onnx")
    assert maker.calls == 1


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_missing_file_is_built_again(made, name):
    result, maker = made
    result.file(name).unlink()
    produce(step(), maker, shows="model.onnx")
    assert maker.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"files": 7},
        {"files": {"model.onnx": None}},
        {"files": {"../../outside": {"bytes": 1, "sha256": "0" * 64, "stamp": []}}},
        {"files": {"a\0b": {"bytes": 1, "sha256": "0" * 64, "stamp": []}}},
        {"facts": []},
        {"key": None},
    ],
)
def test_a_damaged_manifest_is_as_good_as_none(made, damage):
    result, maker = made
    path = result.folder / "manifest.json"
    files.write_json(path, files.read_json(path) | damage)
    assert load(result.folder) is None
    produce(step(), maker, shows="model.onnx")
    assert maker.calls == 2


def test_a_fact_that_is_not_there_is_a_sentence(made):
    result, _ = made
    path = result.folder / "manifest.json"
    files.write_json(path, files.read_json(path) | {"facts": {}})
    with pytest.raises(UserError, match="does not say its class_num, so it is damaged"):
        load(result.folder).facts["class_num"]


def test_a_failed_step_leaves_the_old_artifact_and_nothing_else(made):
    result, _ = made

    def fail(folder):
        (folder / "model.onnx").write_bytes(b"half")
        raise RuntimeError("the converter broke")

    with pytest.raises(RuntimeError):
        produce(step(parameters={"opset": 13}), fail, shows="model.onnx")
    assert load(result.folder) == result
    assert {path.name for path in result.folder.parent.iterdir()} == {"fp32", ".fp32.lock"}


@pytest.mark.parametrize(("content", "problem"), [(None, "no"), (b"", "an empty")])
def test_an_artifact_without_the_file_that_it_shows_is_not_put_in_place(made, content, problem):
    result, _ = made

    def make(folder):
        (folder / "other.txt").write_text("whole")
        if content is not None:
            (folder / "model.onnx").write_bytes(content)
        return {}

    with pytest.raises(StepError, match=f"copy fp32 of Toy made {problem} model.onnx"):
        produce(step(parameters={"opset": 13}), make, shows="model.onnx")
    assert load(result.folder) == result
    assert {path.name for path in result.folder.parent.iterdir()} == {"fp32", ".fp32.lock"}


def _build_slowly(content: bytes, seconds: float, started=None) -> None:
    def make(folder):
        (folder / "model.onnx").write_bytes(content)
        if started:
            started.set()
        time.sleep(seconds)
        return {}

    produce(step(), make, shows="model.onnx")


def test_a_killed_run_is_repaired_by_the_next(build_folder):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    child = context.Process(target=_build_slowly, args=(b"half", 60, started))
    child.start()
    assert started.wait(10)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    folder = step().folder
    assert load(folder) is None
    assert {path.name for path in folder.parent.iterdir()} == {".fp32.new", ".fp32.lock"}

    maker = Maker()
    produce(step(), maker, shows="model.onnx")
    assert maker.calls == 1
    assert {path.name for path in folder.parent.iterdir()} == {"fp32", ".fp32.lock"}


def test_a_run_killed_between_the_two_renames_keeps_the_old_artifact(made):
    result, maker = made
    result.folder.rename(artifact._aside(result.folder))
    assert produce(step(), maker, shows="model.onnx") == result
    assert maker.calls == 1


def test_of_two_runs_at_once_the_second_waits_and_finds_the_work_done(build_folder):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    child = context.Process(target=_build_slowly, args=(b"first", 1.0, started))
    child.start()
    assert started.wait(10)
    maker = Maker(b"second")
    result = produce(step(), maker, shows="model.onnx")
    child.join()
    assert maker.calls == 0
    assert result.file("model.onnx").read_bytes() == b"first"


def test_a_build_folder_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BUILD_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match="BUILD_DIR"):
        produce(step(), Maker(), shows="model.onnx")


@pytest.mark.parametrize(("inside", "kind"), [(True, UserError), (False, PermissionError)])
def test_a_place_that_cannot_be_written_to_is_the_one_that_is_named(build_folder, inside, kind):
    place = build_folder / "Toy" if inside else build_folder.with_name("home") / ".tool"

    def make(folder):
        raise PermissionError(13, "Permission denied", str(place))

    with pytest.raises(kind) as caught:
        produce(step(), make, shows="model.onnx")
    assert ("make the build folder writable" in str(caught.value)) == inside
    assert str(place) in str(caught.value)
