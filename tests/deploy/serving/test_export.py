"""`make serve EXPORT=folder`: what is written is what the servers read, and nothing is lost."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from common.errors import StepError, UserError
from deploy import serve
from deploy.serving import checking
from deploy.serving.addresses import LOOPBACK, find_addresses
from deploy.serving.triton import Triton
from runtimes import nvidia
from runtimes.hosts.local import child_folder
from runtimes.worker import Worker
from tests.conftest import assert_refused
from tests.deploy.serving.conftest import MODEL, needs_server
from tests.deploy.serving.published import InferenceService, OvmsConfig
from tests.runtimes.gpu import T4, Machine


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def export(built, weights, place):
    """Run the command in this process; the folder that it was to write."""

    def export(name: str, *words: object, taken: object = weights) -> Path:
        folder = place / name
        arguments = ["--model", MODEL, "--weights", taken, "--export", folder, *words]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BUILD_DIR", str(built))
            patch.setattr(sys, "argv", ["serve.py", *map(str, arguments)])
            assert serve.main() == 0
        return folder

    return export


@pytest.fixture(scope="module")
def triton(export):
    return export("triton", "--format", "triton")


def understood(folder) -> dict:
    """A model's configuration, as Triton's own message has it."""
    text = (folder / "models" / MODEL / "config.pbtxt").read_text()
    with Worker("serve", "reading config.pbtxt") as worker:
        return worker.call(checking.model_config, text=text)


@needs_server
def test_a_repository_for_a_full_triton(triton, built):
    config = understood(triton)
    assert config["name"] == MODEL
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] == 32
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": ["3", "224", "224"]}]
    assert config["output"][0]["dims"] == ["1000"]
    assert "dynamic_batching" in config
    model = triton / "models" / MODEL
    served = (model / "1" / "model.onnx").read_bytes()
    assert served == (built / MODEL / "onnx" / "fp32" / "model.onnx").read_bytes()
    assert len((model / config["output"][0]["label_filename"]).read_text().splitlines()) == 1000
    assert json.loads((model / "preprocess.json").read_text())["crop"] == 224


@needs_server
def test_a_real_triton_misses_nothing_but_the_backend(triton):
    said = rf"serving {MODEL}: it does not load: .*backend.*onnxruntime"
    with child_folder() as folder, pytest.raises(StepError, match=said):
        Triton(folder, triton / "models", find_addresses(LOOPBACK, 0)).__enter__()


@needs_server
@pytest.mark.parametrize("text", ['nmae: "a"', "max_batch_size: true", 'input { dims: "x" }'])
def test_a_wrong_configuration_is_noticed(text):
    refused = pytest.raises(StepError, match=r"config\.pbtxt is not as Triton reads it")
    with Worker("serve", "reading config.pbtxt") as worker, refused:
        worker.call(checking.model_config, text=text)


@needs_server
def test_openvinos_backend_gets_no_batches_and_a_warning(export, capsys):
    folder = export("openvino", "--format", "triton", "--target", "openvino")
    assert "cannot be told to leave bf16 alone" in capsys.readouterr().err
    config = understood(folder)
    assert "max_batch_size" not in config  # 0
    assert config["input"][0]["dims"] == ["-1", "3", "224", "224"]
    assert {path.name for path in (folder / "models" / MODEL / "1").iterdir()} == {
        "model.xml",
        "model.bin",
    }


@needs_server
def test_without_an_engine_onnx_runtime_builds_one_on_the_gpu(export):
    folder = export("t4", "--format", "triton", "--target", "trt-t4", "--precision", "fp32")
    config = understood(folder)
    [group] = config["instance_group"]
    assert group["kind"] == "KIND_GPU"
    [accelerator] = config["optimization"]["execution_accelerators"]["gpu_execution_accelerator"]
    assert accelerator == {"name": "tensorrt", "parameters": {"precision_mode": "FP32"}}
    assert config["max_batch_size"] == 8  # the largest that engines are built for


@pytest.fixture
def machine(tmp_path, monkeypatch):
    yield Machine(tmp_path, monkeypatch)
    nvidia.find.cache_clear()


@needs_server
def test_an_engine_is_a_plan_and_takes_any_batch_by_its_last_profile(export, machine):
    machine.install("8.6.0")
    machine.plug_in(*T4)
    folder = export("engine", "--format", "triton", "--target", "trt-t4")
    config = understood(folder)
    assert config["backend"] == "tensorrt"
    assert config["max_batch_size"] == 8
    [group] = config["instance_group"]
    assert (group["kind"], group["profile"]) == ("KIND_GPU", ["3"])
    assert [path.name for path in (folder / "models" / MODEL / "1").iterdir()] == ["model.plan"]


def test_a_folder_for_openvinos_model_server(export, capsys):
    folder = export("ovms", "--format", "ovms")
    config = OvmsConfig.model_validate_json((folder / "config.json").read_text())
    [entry] = config.model_config_list
    assert entry.config.plugin_config == {"INFERENCE_PRECISION_HINT": "f32"}
    assert entry.config.base_path == f"/serving/models/{MODEL}"
    assert '-v "$PWD:/serving:ro"' in capsys.readouterr().out
    assert (folder / "models" / MODEL / "1" / "model.xml").exists()


def test_a_service_for_kserve(export):
    folder = export("kserve", "--format", "kserve", "--storage", "s3://bucket/models")
    value = yaml.safe_load((folder / "inferenceservice.yaml").read_text())
    service = InferenceService.model_validate(value)
    assert service.metadata.name == "squeezenet1-1"
    assert service.spec.predictor.model.storage_uri == "s3://bucket/models"
    assert (folder / "models" / MODEL / "config.pbtxt").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "kserve"], "needs STORAGE=…"),
        (["--format", "kserve", "--storage", "/mnt/models"], "needs STORAGE=…"),
        (["--format", "triton", "--storage", "s3://a"], "--storage is for --format kserve"),
        (["--format", "tritn"], "did you mean triton?"),
        ([], "--export needs --format"),
        (["--format", "triton", "--target", "paddle"], "Triton has no backend for paddle"),
        (["--format", "triton", "--target", "mnn"], "target mnn is not served, only"),
        (["--format", "ovms", "--target", "onnx"], "take TARGET=openvino"),
        (["--format", "triton", "--port", "1"], "leave out --port"),
        (["--format", "triton", "--target", "onnx", "--target", "openvino"], "name one TARGET"),
    ],
)
def test_mistakes_are_a_sentence_and_leave_nothing(export, place, words, said):
    with pytest.raises(UserError, match=re.escape(said)):
        export("mistaken", *words)
    assert not list(place.glob("*mistaken*"))


def test_what_somebody_else_made_is_left_alone(command, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    words = ("--model", MODEL, "--export", folder, "--format", "triton")
    assert_refused(command("deploy/serve.py", *words), "is there, and no export", "EXPORT=")
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_an_export_is_renewed_unless_somebody_changed_it(export, triton):
    config = triton / "models" / MODEL / "config.pbtxt"
    before = config.read_text()
    export(triton.name, "--format", "triton")
    assert config.read_text() == before

    config.write_text(before + "# tuned by hand\n")
    said = re.escape(f"was changed since it was written (models/{MODEL}/config.pbtxt)")
    with pytest.raises(UserError, match=said):
        export(triton.name, "--format", "triton")
    assert config.read_text().endswith("# tuned by hand\n")
    config.write_text(before)


def test_a_failure_leaves_the_old_folder(export, triton):
    before = {path: path.read_bytes() for path in triton.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"nowhere\.pdparams"):
        export(triton.name, "--format", "triton", taken="nowhere.pdparams")
    assert {path: path.read_bytes() for path in triton.rglob("*") if path.is_file()} == before
    assert not list(triton.parent.glob(f".{triton.name}*"))
