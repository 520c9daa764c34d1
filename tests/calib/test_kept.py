"""The calibrated INT8 file that is kept: found again, put back, replaced, and never mistaken."""

import dataclasses
from pathlib import Path

import pytest

from calib import kept
from calib.kept import Facts, PhotoSet
from calib.photos import APART, Calibration
from calib.quant_config import QuantConfig
from common import files
from common.errors import StepError, UserError
from convert.artifact import Artifact, load
from data.images import ImageSet
from data.preprocess import Preprocess
from deploy.request import int8_files
from deploy.request.int8_files import calibrating_hashes, int8_file, options_for, with_kept
from deploy.targets.base import Options, Tool
from deploy.targets.mnn import Mnn
from deploy.targets.onnx import Onnx

INT8 = "int8"
CELL = (Onnx(), INT8)


@pytest.fixture
def graph(tmp_path) -> Artifact:
    """The inference graph of a build."""
    return a_graph(tmp_path / "build" / "Toy", "a" * 64)


def a_graph(home: Path, weights: str) -> Artifact:
    facts = {"weights_sha256": weights, "class_num": 10, "input_shape": [3, 8, 8], "weights": "x"}
    about = {"model": "Toy", "build": "Toy", "key": weights}
    return Artifact(home / "inference" / "fp32", {"facts": facts, **about})


def an_artifact(folder: Path, content: str, made_of: str = "") -> Artifact:
    """A whole artifact with one file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_text(content)
    fact = {"bytes": len(content), "sha256": files.sha256(path), "stamp": files.stamp(path)}
    manifest = {
        **{
            "model": "Toy",
            "facts": {},
            "kind": folder.parent.name,
            "key": f"of {content}",
            "inputs": {"": made_of},
        },
        "files": {path.name: fact},
    }
    files.write_json(folder / "manifest.json", manifest)
    found = load(folder)
    assert found
    return found


@pytest.fixture
def calibration(tmp_path) -> Calibration:
    """Three photos, whatever is in them."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        path.write_text(path.name)
    return Calibration(ImageSet("three", paths, [0, 1, 2]), source=str(tmp_path), split=APART)


@pytest.fixture
def keep(graph, calibration):
    """Calibrate: put a file into its place, and keep it: `keep("what is in it", method="mse")`."""

    def keep(content, method="mse", target="onnx", kind="onnx", keep_float=(), source="") -> Facts:
        built = an_artifact(graph.folder.parents[1] / kind / INT8, content)
        facts = Facts(
            schema=kept.SCHEMA,
            toolkit="0.2.0",
            made="today",
            deployed=kind,
            weights_sha256="a" * 64,
            class_num=10,
            input_shape=(3, 8, 8),
            opset=17,
            method=method,
            keep_float=keep_float,
            weight_bits=8,
            skip_bad=False,
            photos=PhotoSet.of(dataclasses.replace(calibration, source=source)),
            files=built.digests(),
            tools=int8_files._tools(Onnx()),
            code=int8_files._code(Onnx()),
        )
        kept.keep(graph, target, built, facts)
        return facts

    return keep


def place_of(graph: Artifact) -> Path:
    return graph.folder.parents[1] / "onnx" / INT8 / "model.onnx"


def test_what_is_kept_is_put_back_whatever_took_its_place(graph, keep):
    facts = keep("judged")
    assert kept.find(graph, "onnx").facts == facts
    an_artifact(place_of(graph).parent, "an attempt that was killed")
    assert kept.find(graph, "onnx").put_back().digests() == facts.files
    assert place_of(graph).read_text() == "judged"
    place_of(graph).write_text("edited by hand")
    assert kept.find(graph, "onnx").put_back().file("model.onnx").read_text() == "judged"


def test_another_targets_calibration_leaves_the_file_in_its_place(graph, keep):
    keep("judged")
    an_artifact(place_of(graph).parent, "what OpenVINO's was made of")
    keep("openvino's", target="openvino", kind="openvino")
    assert place_of(graph).read_text() == "judged"


def test_what_is_replaced_is_said_and_moves_aside(graph, keep, capsys):
    keep("first", method="entropy")
    assert "replaces" not in capsys.readouterr().err
    keep("first", method="entropy")
    assert "replaces" not in capsys.readouterr().err
    keep("second")
    said = capsys.readouterr().err
    assert "onnx int8: mse on 3 photos of three" in said
    assert "replaces entropy on 3 photos of three" in said
    aside = graph.folder.parents[1] / "calibration" / "replaced" / "onnx"
    assert str(aside) in said
    assert (aside / "onnx" / "model.onnx").read_text() == "first"
    assert kept.find(graph, "onnx").put_back().file("model.onnx").read_text() == "second"


def test_a_file_of_two_parts_is_named_by_both(graph, keep):
    facts = dataclasses.replace(
        keep("judged"), files={"model.xml": "a" * 64, "model.bin": "b" * 64}
    )
    assert f"sha256 {'a' * 12} (model.xml) and {'b' * 12} (model.bin)" in str(facts)


def test_a_replacement_that_was_killed_is_finished(graph, keep):
    keep("judged")
    folder = graph.folder.parents[1] / "calibration" / "onnx"
    folder.rename(folder.with_name(".onnx.new"))
    assert kept.find(graph, "onnx").put_back().file("model.onnx").read_text() == "judged"


def test_a_record_that_is_none_is_left_out_with_a_word(graph, keep, capsys):
    keep("judged")
    record = graph.folder.parents[1] / "calibration" / "onnx" / "calibration.json"
    files.write_json(record, files.read_json(record) | {"metod": "mse"})
    assert kept.find(graph, "onnx") is None
    assert "'metod' is unknown" in capsys.readouterr().err


def test_the_source_of_a_file_is_found_beside_it_where_another_took_its_place(graph):
    home = graph.folder.parents[1]
    an_artifact(home / "quantized" / INT8, "its graph")
    deployed = an_artifact(home / "lite-arm" / INT8, "its file", made_of="of its graph")
    found = kept.source_of(deployed, "lite-arm", "quantized")
    assert found.file("model.onnx").read_text() == "its graph"
    an_artifact(home / "calibration" / "lite-arm" / "quantized", "its graph")
    an_artifact(home / "quantized" / INT8, "another's graph")
    found = kept.source_of(deployed, "lite-arm", "quantized")
    assert found.file("model.onnx").read_text() == "its graph"
    other = an_artifact(home / "lite-arm" / INT8, "its file", made_of="of something else")
    with pytest.raises(StepError, match=r"is gone .*RECALIBRATE=1"):
        kept.source_of(other, "lite-arm", "quantized")


# ---- which file a command means ----


@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [
        ({}, True),
        ({"named": {"method"}, "method": "mse"}, True),
        ({"named": {"method"}, "method": "entropy"}, False),
        ({"named": {"keep_float"}, "keep_float": ("Conv.1",)}, False),
        ({"named": {"opset"}, "opset": 17}, True),
        ({"named": {"opset"}, "opset": 13}, False),
        ({"opset": 13}, True),  # the default of another command, which nobody named
        ({"named": {"count"}, "at_most": 300}, True),
        ({"named": {"count"}, "at_most": 2}, False),
        ({"recalibrate": True}, False),
    ],
)
def test_another_file_is_made_only_where_something_named_differs(graph, keep, asked, is_kept):
    keep("judged", keep_float=("Conv.7",))
    asked = dict(asked)
    named, method = frozenset(asked.pop("named", ())), asked.pop("method", None)
    layers = asked.pop("keep_float", None)
    quant = QuantConfig(method or "mse", layers or ()) if method or layers else None
    options = Options(**{"opset": 17, **asked}, quant=quant, named=named)
    found = with_kept(graph, [CELL], options)
    assert list(found.kept if is_kept else found.remade) == ["onnx"]
    assert not (found.remade if is_kept else found.kept)
    if not is_kept:  # what is not named is as it was, the photos too
        made_by = options_for(CELL, found)
        assert len(made_by.calibration.images) == asked.get("at_most", 3)
        assert made_by.quant == QuantConfig(method or "mse", layers or ("Conv.7",))
        assert made_by.opset == (13 if "opset" in named else 17)


def test_photos_that_are_named_count_by_their_content(graph, keep, calibration, tmp_path):
    facts = keep("judged")
    options = Options(17, calibration=calibration, named=frozenset({"photos"}))
    found = with_kept(graph, [CELL], options)
    assert list(found.kept) == ["onnx"]
    assert calibrating_hashes([CELL], found) == {one.sha256 for one in facts.photos.photos}
    others = Calibration(calibration.images.spread(2))
    found = with_kept(graph, [CELL], dataclasses.replace(options, calibration=others))
    assert list(found.remade) == ["onnx"]
    assert options_for(CELL, found).calibration is others
    assert calibrating_hashes([CELL], found) == set(others.images.hashes)


def test_a_target_without_a_calibration_takes_the_photos_of_another(
    graph, keep, calibration, capsys
):
    keep("judged")
    cells = [CELL, (Mnn(), INT8)]
    found = with_kept(graph, cells, Options(17))
    assert list(found.kept) == ["onnx"]
    assert options_for(cells[1], found).calibration.images.hashes == calibration.images.hashes
    said = "mnn int8: not calibrated yet, so on the photos that onnx was: 3 of three"
    assert said in capsys.readouterr().err
    assert calibrating_hashes(cells[1:], found) == set(calibration.images.hashes)
    named = Options(17, calibration=calibration, named=frozenset({"photos"}))
    assert with_kept(graph, cells, named).calibration is calibration

    calibration.images.paths[0].write_text("another photo")
    assert with_kept(graph, cells, Options(17)).calibration is None


def test_the_demos_photos_are_no_other_targets_unless_named(graph, keep):
    keep("judged", target="openvino", source="demo")
    assert with_kept(graph, [CELL], Options(17)).calibration is None
    graph.facts["weights"] = "demo"
    assert with_kept(graph, [CELL], Options(17)).calibration is not None


def test_what_an_earlier_version_left_is_named(graph, keep, capsys):
    record = graph.folder.parents[1] / "calibration" / "onnx.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"method": "mse", "keep_float": []}')
    assert not with_kept(graph, [CELL], Options(17)).kept
    said = capsys.readouterr().err
    assert f"{record} is left out: it is of a toolkit before 0.2.0" in said
    assert "make calibrate MODEL=Toy TARGET=onnx" in said
    keep("judged")
    with_kept(graph, [CELL], Options(17))
    assert not capsys.readouterr().err


def test_photos_that_are_gone_are_not_calibrated_on_again(graph, keep, calibration):
    keep("judged")
    calibration.images.paths[0].write_text("another photo")
    found = with_kept(graph, [CELL], Options(17, recalibrate=True))
    assert options_for(CELL, found).calibration is None


def test_a_calibration_of_other_weights_does_not_apply(graph, keep, capsys):
    keep("judged")
    other = a_graph(graph.folder.parents[1], "b" * 64)
    found = with_kept(other, [CELL], Options(17))
    assert not found.kept
    assert not found.remade
    assert "is of other weights, and does not apply: mse on 3 photos" in capsys.readouterr().err


def test_a_calibration_of_photos_prepared_otherwise_does_not_apply(graph, keep, capsys):
    keep("judged")
    published = Preprocess()
    for preprocess in (published, dataclasses.replace(published, mean=(0.5, 0.5, 0.5))):
        facts = {**graph.facts, "preprocess": preprocess.to_json()}
        other = Artifact(graph.folder, {**graph.manifest, "model": "AlexNet", "facts": facts})
        assert bool(with_kept(other, [CELL], Options(17)).kept) == (preprocess == published)
    assert "is of photos prepared in another way, and does not" in capsys.readouterr().err


def test_a_file_that_is_gone_is_made_again_by_the_same(graph, keep, capsys):
    keep("judged", method="entropy")
    for folder in (place_of(graph).parent, graph.folder.parents[1] / "calibration/onnx/onnx"):
        (folder / "model.onnx").write_text("broken")
    found = with_kept(graph, [CELL], Options(17))
    assert "damaged or gone: entropy on 3 photos" in capsys.readouterr().err
    made_by = options_for(CELL, found)
    assert (made_by.quant.method, len(made_by.calibration.images)) == ("entropy", 3)


def test_a_judged_file_stays_where_the_code_or_a_tool_has_changed(graph, keep, monkeypatch, capsys):
    facts = keep("judged")
    options = with_kept(graph, [CELL], Options(17))
    assert int8_file(graph, Onnx(), options).digests() == facts.files
    assert not capsys.readouterr().err
    monkeypatch.setattr(int8_files, "_code", lambda target: "f" * 64)
    assert int8_file(graph, Onnx(), options).digests() == facts.files
    said = capsys.readouterr().err
    assert "the toolkit's code has changed since the file was calibrated; it is still" in said
    assert "RECALIBRATE=1" in said
    monkeypatch.setattr(Tool, "version", "99.0")
    int8_file(graph, Onnx(), options)
    assert "onnxruntime" in (said := capsys.readouterr().err)
    assert "became 99.0" in said


def test_a_file_that_does_not_fit_this_machine_is_made_of_the_same_integers(graph, keep):
    facts = keep("an engine for another GPU")
    home = graph.folder.parents[1]

    class Engine(Onnx):
        def fits(self, artifact):
            return "another" not in artifact.file("model.onnx").read_text()

        def refit(self, artifact):
            assert artifact.digests() == facts.files
            return an_artifact(home / "onnx" / INT8, "an engine for this GPU")

    options = with_kept(graph, [(Engine(), INT8)], Options(17))
    made = int8_file(graph, Engine(), options)
    assert made.file("model.onnx").read_text() == "an engine for this GPU"
    again = with_kept(graph, [(Engine(), INT8)], Options(17))
    assert int8_file(graph, Engine(), again).digests() == made.digests()


def test_what_was_calibrated_elsewhere_is_kept_here_as_it_is(graph, keep, tmp_path, capsys):
    facts = keep("calibrated elsewhere")
    folder = graph.folder.parents[1] / "calibration"
    other = a_graph(tmp_path / "other" / "Toy", "a" * 64)
    kept.take_in(folder, other, ["onnx", "mnn"])
    found = kept.find(other, "onnx")
    assert found.facts == facts
    assert found.put_back().file("model.onnx").read_text() == "calibrated elsewhere"
    before = (other.folder.parents[1] / "calibration" / "onnx").stat().st_ino
    kept.take_in(folder, other, ["onnx"])  # which is there already
    assert (other.folder.parents[1] / "calibration" / "onnx").stat().st_ino == before
    assert "replaces" not in capsys.readouterr().err


def test_what_was_calibrated_elsewhere_is_refused_of_other_weights_or_damaged(
    graph, keep, tmp_path
):
    keep("calibrated elsewhere")
    folder = graph.folder.parents[1] / "calibration"
    with pytest.raises(UserError, match="has no file that was calibrated for onnx"):
        kept.take_in(folder, a_graph(tmp_path / "other" / "Toy", "b" * 64), ["onnx"])
    same = a_graph(tmp_path / "other" / "Toy", "a" * 64)
    (folder / "onnx" / "onnx" / "model.onnx").write_text("cut")
    with pytest.raises(UserError, match="is damaged; copy it again"):
        kept.take_in(folder, same, ["onnx"])
    assert kept.find(same, "onnx") is None
