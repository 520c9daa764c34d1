"""Which packages go into the app and onto phones: those of the files that are there now."""

import pytest

from common.cli import Parser
from common.errors import UserError
from convert.artifact import Build, Step, produce
from deploy.packages import making
from deploy.packages.making import add_package_arguments, make_packages, packages_here
from deploy.request.arguments import add_build_arguments
from tests.conftest import assert_refused

MODEL, NAME = "SqueezeNet1_1", "SqueezeNet1_1-flowers"


def put(kind: str, precision: str, content: bytes, inputs: dict, facts: dict):
    """An artifact of the build, with one file."""
    step = Step("put", Build(MODEL, NAME), kind, precision, inputs, {}, {}, ())
    file = {"onnx": "model.onnx", "package": f"{NAME}-onnx-fp32.zip"}.get(
        kind, "inference.pdiparams"
    )

    def make(folder):
        (folder / file).write_bytes(content)
        return facts

    return produce(step, make, shows=file)


def put_graph(checkpoint: str):
    facts = {"weights": checkpoint, "weights_sha256": checkpoint}
    return put("inference", "fp32", b"parameters", {"weights": checkpoint}, facts)


def put_model(content: bytes):
    return put("onnx", "fp32", content, {"": content.hex()}, {})


@pytest.fixture
def packaged(build_folder):
    """A package of the build's file, of the checkpoint that the build was made of."""
    put_graph("a")
    file = put_model(b"judged").manifest["files"]["model.onnx"]["sha256"]
    facts = {"content": f"{NAME}-onnx-fp32", "weights_sha256": "a"}
    return put("package", "onnx-fp32", b"zip", {"model.onnx": file}, facts)


def test_packages_of_the_builds_file_are_taken(packaged):
    assert packages_here(None) == packages_here(["fp32"], NAME) == [packaged]
    assert packages_here(["int8"]) == packages_here(None, MODEL) == []


def test_a_package_of_a_file_that_was_replaced_is_left_out(packaged, capsys):
    put_model(b"another")
    assert packages_here(None) == []
    said = capsys.readouterr().err
    assert f"left out: {NAME}-onnx-fp32 is of another file, or checkpoint" in said
    assert f"make package MODEL={NAME}" in said


def test_a_package_of_another_checkpoint_is_left_out(packaged, build_folder, capsys):
    put_graph("b")
    assert packages_here(None) == []  # its file, which is of the one before, is still there
    assert "left out" in capsys.readouterr().err
    for path in (build_folder / NAME / "onnx" / "fp32").iterdir():
        path.unlink()
    assert packages_here(None) == []
    assert "left out" in capsys.readouterr().err


def test_a_card_that_is_older_than_the_last_result_is_named(packaged, monkeypatch, capsys):
    parser = Parser()
    add_build_arguments(parser)
    add_package_arguments(parser, for_app=True)
    words = ("--name", NAME, "--target", "onnx", "--precision", "fp32")
    monkeypatch.setattr("sys.argv", ["apk", *words])
    options = parser.parse_args()
    monkeypatch.setattr(making, "tells_all", lambda made: True)
    assert [made for *_, made in make_packages(options, anew=False)] == [packaged]
    assert "measured" not in capsys.readouterr().err
    monkeypatch.setattr(making, "tells_all", lambda made: False)
    assert [made for *_, made in make_packages(options, anew=False)] == [packaged]
    said = f"make package MODEL={NAME} TARGET=onnx PRECISION=fp32"
    assert said in capsys.readouterr().err


def test_a_damaged_package_is_refused(packaged, build_folder):
    (packaged.folder / f"{NAME}-onnx-fp32.zip").write_bytes(b"")
    with pytest.raises(UserError, match=f"make package MODEL={NAME}"):
        packages_here(None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "/photos"], "--data is for packages that are made here: give --model"),
        (["--calib", "demo"], "--calib is for packages"),
        (["--precision", "int3"], "the app runs no precision 'int3'"),
        (["--model", MODEL, "--target", "openvino"], "the app has no engine for openvino"),
        (["--name", "flowers"], "unknown model 'flowers', and no build here is called so"),
    ],
)
def test_mistakes_of_the_app_are_refused(command, words, said):
    assert_refused(command("deploy/apk.py", *words), said)
