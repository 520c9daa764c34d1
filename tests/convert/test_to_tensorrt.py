"""ONNX to TensorRT: what is established without a GPU, and the engine path on recorded versions."""

import ctypes
import functools
import pickle
import re
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from common.errors import StepError, UserError
from convert import step_check, tensorrt_builder, tensorrt_folder, to_tensorrt
from convert.artifact import Artifact
from convert.fp16_graph import write_fp16
from convert.to_tensorrt import ENGINE, PROFILES, is_for, to_engine, to_portable
from runtimes import nvidia
from runtimes.environments import TRT
from runtimes.nvidia import Gpu
from runtimes.sessions import cuda, tensorrt_engine
from runtimes.tensorrt_library import RTX, TENSORRT, problem, usable
from tests.convert.toy import CONV, CONVOLUTIONAL, FLATTEN, FULLY_CONNECTED, POOL, SHAPE, make
from tests.runtimes.gpu import DRIVER, T4, Machine
from tests.runtimes.tensorrt_surface import fake


@pytest.fixture
def toy(tmp_path, build_folder):
    """Make the ONNX artifact of a small network from its nodes: `toy(CONVOLUTIONAL)`."""
    return functools.partial(make, tmp_path / "onnx")


def left(build_folder) -> list[str]:
    return [path.name for path in build_folder.rglob("*") if path.is_file()]


# ---- without a GPU ----


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_network_is_parsed_and_built_ahead_for_a_t4(toy, precision):
    source = toy(CONVOLUTIONAL)
    made = to_portable(source, "trt-t4", precision, "T4", "sm_75")
    assert made.file("model.onnx").read_bytes() == source.file("model.onnx").read_bytes()
    assert made.facts["checked_for"] == "8.6"
    assert made.facts["parsed_by"].startswith("tensorrt_rtx 1.")
    built = made.facts["ahead_of_time"]
    assert built["layers"] >= len(CONVOLUTIONAL)
    assert set(made.manifest["files"]) == {"model.onnx", "rtx-sm75.engine", "README.md"}
    kept = made.manifest["files"][built["file"]]
    assert kept["bytes"] == built["engine_bytes"] > 1000
    assert built["loaded_by"] == f"TensorRT-RTX {made.manifest['tools']['tensorrt_rtx']}"


@pytest.mark.parametrize(
    ("precision", "flag", "said"),
    [
        ("fp32", "", "model.onnx and the engine hold float32"),
        ("fp16", " --fp16", "model.onnx holds float32; FP16 is made on the GPU"),
        ("int8", " --int8", "model.onnx holds float32 and its quantization"),
    ],
)
def test_a_folder_says_where_its_precision_is_made_and_what_to_type(
    toy, capsys, precision, flag, said
):
    made = to_portable(toy(CONVOLUTIONAL), "trt-v100", precision, "V100", "sm_70")
    open_axes = " ".join(
        f"--{bound}Shapes=x:{batch}x{'x'.join(map(str, SHAPE))}"
        for bound, batch in (("min", 1), ("opt", 4), ("max", 8))
    )
    line = f"trtexec --onnx=model.onnx --saveEngine=model.engine{flag} {open_axes}"
    assert made.facts["trtexec"] == line
    assert made.facts["stored"].startswith(said)
    assert ("model.onnx  (FP16 is made on the GPU)" in capsys.readouterr().err) == (
        precision == "fp16"
    )
    page = made.file("README.md").read_text()
    assert f"    {line}\n" in page
    assert f"\n{made.facts['stored']}.\n" in page
    assert "No engine was built ahead of time: TensorRT-RTX does not build for sm_70." in page


def test_shapes_are_asked_for_where_the_file_leaves_them_open(toy, tmp_path):
    file = toy(CONVOLUTIONAL).file("model.onnx")
    entry = tensorrt_folder.axes(str(file))
    assert entry == {"name": "x", "shape": [None, *SHAPE]}
    model = onnx.load(file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "of one.onnx")
    entry = tensorrt_folder.axes(str(tmp_path / "of one.onnx"))
    line = tensorrt_folder.trtexec(tmp_path / "of one.onnx", "o.engine", "fp16", entry, (1, 4, 8))
    assert line == f"trtexec '--onnx={tmp_path}/of one.onnx' --saveEngine=o.engine --fp16"


def test_no_engine_is_built_ahead_for_a_v100(toy):
    made = to_portable(toy(CONVOLUTIONAL), "trt-v100", "fp32", "V100", "sm_70")
    not_built = "TensorRT-RTX does not build for sm_70"
    assert made.facts["ahead_of_time"] == {"not_built": not_built}
    assert set(made.manifest["files"]) == {"model.onnx", "README.md"}


def test_a_fully_connected_layer_is_built_ahead_in_fp16_only(toy):
    source = toy(FULLY_CONNECTED)
    built = to_portable(source, "trt-t4", "fp32", "T4", "sm_75").facts["ahead_of_time"]
    assert "FP32 GEMM is not supported" in built["not_built"]
    built = to_portable(source, "trt-t4", "fp16", "T4", "sm_75").facts["ahead_of_time"]
    assert built["engine_bytes"] > 1000


def test_a_quantized_fully_connected_layer_is_built_ahead_with_fp16_around_it(toy):
    source = toy(FULLY_CONNECTED)
    put_pairs_before(source.file("model.onnx"), "Gemm")
    made = to_portable(source, "trt-t4", "int8", "T4", "sm_75")
    assert made.facts["ahead_of_time"]["floats"] == "fp16"
    assert made.facts["ahead_of_time"]["engine_bytes"] > 1000
    assert made.file("model.onnx").read_bytes() == source.file("model.onnx").read_bytes()
    assert set(made.manifest["files"]) == {"model.onnx", "rtx-sm75.engine", "README.md"}


def put_pairs_before(file, operator):
    """Quantize the inputs of the nodes of one kind, all by the same scale."""
    model = onnx.load(file)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.float32(0.05), "scale"))
    graph.initializer.append(numpy_helper.from_array(np.int8(0), "zero"))
    nodes = []
    for node in graph.node:
        for place, name in enumerate(node.input if node.op_type == operator else ()):
            small, pair = f"{name}/small", ("scale", "zero")
            nodes.append(helper.make_node("QuantizeLinear", [name, *pair], [small]))
            nodes.append(helper.make_node("DequantizeLinear", [small, *pair], [f"{name}/again"]))
            node.input[place] = f"{name}/again"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, file)


def test_an_unsupported_operator_is_named_with_its_node(toy, build_folder):
    source = toy((CONV, ("Det", ["a"], ["b"]), POOL, FLATTEN), valid=False)
    with pytest.raises(StepError) as caught:
        to_portable(source, "trt-t4", "fp32", "T4", "sm_75")
    assert str(caught.value) == "TensorRT 8.6's ONNX parser does not support Det (node 'Det.1')"
    assert all(name.endswith(".lock") for name in left(build_folder))


def test_a_node_that_only_the_parser_itself_refuses_is_named_with_the_reason(toy):
    source = toy((("Conv", ["x", "w"], ["logits"]),), valid=False)  # a kernel of two dimensions
    with pytest.raises(StepError, match=r"tensorrt_rtx 1\.\S+ does not parse Conv \(node 'Conv.0'"):
        to_portable(source, "trt-t4", "fp32", "T4", "sm_75")


def test_an_opset_that_is_too_new_is_refused_with_the_one_to_ask_for(toy):
    with pytest.raises(UserError, match=r"8\.6 reads ONNX opsets up to 17, not 18; .*--opset 17"):
        to_portable(toy(CONVOLUTIONAL, opset=18), "trt-t4", "fp32", "T4", "sm_75")


def test_the_version_checked_for_is_the_one_that_is_installed_where_a_gpu_is():
    pins = (TRT.lock_path.with_suffix(".in")).read_text().split()
    assert f"tensorrt=={to_tensorrt.WANTED}" in pins


# ---- with a GPU ----


@pytest.fixture
def machine(tmp_path, monkeypatch):
    yield Machine(tmp_path, monkeypatch)
    nvidia.find.cache_clear()


@pytest.fixture
def in_process(machine, monkeypatch):
    """Make this process one of .venv-trt's with that TensorRT, on a T4; returns the GPU."""

    def install(version: str) -> dict:
        machine.plug_in(*T4)
        ctypes.CDLL(str(machine.driver))  # loaded under its name, so that nobody looks for another
        made = fake.module(version)
        monkeypatch.setitem(sys.modules, made.__name__, made)
        return {"index": 0, "name": "Tesla T4", "architecture": "sm_75", "driver": DRIVER}

    return install


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("version", [*fake.VERSIONS, fake.RTX])
def test_what_is_called_is_there_in_every_version(toy, in_process, tmp_path, version, precision):
    """The stand-in raises for what its version lacks."""
    gpu = in_process(version)
    source = toy(FULLY_CONNECTED)
    file = source.file("model.onnx")
    rtx = version == fake.RTX
    library = "tensorrt_rtx" if rtx else "tensorrt"
    major = 11 if rtx else int(version.partition(".")[0])
    half = precision == "fp16" and major >= 11
    assert tensorrt_builder.is_strongly_typed(library) == (major >= 11)
    if half:
        write_fp16(str(file), str(tmp_path / "half.onnx"))
        file = tmp_path / "half.onnx"
    engine, cache = tmp_path / "model.engine", tmp_path / "cache"
    for _ in range(2):  # without timings of an earlier build, and with
        tensorrt_builder.build_here(file, engine, precision, PROFILES, cache, gpu, library)
        assert cache.read_bytes() == b"timings"

    how = pickle.loads(engine.read_bytes())
    assert how["profiles"] == list(PROFILES)
    assert how["gpus"] == (["SM75"] if rtx else [])
    expected = {"EXPLICIT_BATCH"} if major < 10 else set() if major < 11 else {"STRONGLY_TYPED"}
    assert how["network"] == expected
    flags = {"fp16": {"FP16"}, "int8": {"INT8"}}.get(precision, set())  # and never TF32
    assert how["flags"] == (flags if major < 11 else set())

    session = tensorrt_engine.Session(str(tmp_path), precision, 1, gpu, library)
    logits = session.run(step_check.images(SHAPE))
    expected = np.load(source.file(step_check.FILE))
    assert np.abs(logits - expected).max() < (1e-2 if half else 1e-5) * np.abs(expected).max()
    assert session.environment()["versions"] == {library: version.removeprefix("rtx-")}


@pytest.mark.parametrize("kind", [tensorrt_engine.Session, tensorrt_engine.Resident])
def test_batches_of_any_size(toy, in_process, tmp_path, kind):
    gpu = in_process("8.6.0")
    source = toy(FULLY_CONNECTED).file("model.onnx")
    engine = tmp_path / "model.engine"
    tensorrt_builder.build_here(
        source, engine, "fp32", PROFILES, tmp_path / "cache", gpu, "tensorrt"
    )
    session = kind(str(tmp_path), "fp32", 1, gpu)
    judge = onnxruntime.InferenceSession(source)
    images = np.tile(step_check.images(SHAPE), (3, 1, 1, 1))
    for size in (1, 3, 4, 8, 20):
        batch = images[:size]
        for _ in range(2):
            expected = judge.run(None, {"x": batch})[0]
            np.testing.assert_allclose(session.run(batch), expected, rtol=1e-5, atol=1e-5)


def test_what_is_timed_is_the_whole_batch_without_its_transfers(
    toy, in_process, tmp_path, monkeypatch
):
    computed, uploaded = [], []
    execute, upload = fake._IExecutionContext.execute_async_v3, cuda.Device.upload

    def counted(self, stream_handle):
        computed.append(self.facts.shape[0])
        return execute(self, stream_handle)

    def noted(self, array, address):
        uploaded.append(len(array))
        upload(self, array, address)

    monkeypatch.setattr(fake._IExecutionContext, "execute_async_v3", counted)
    monkeypatch.setattr(cuda.Device, "upload", noted)
    gpu = in_process("8.6.0")
    source = toy(FULLY_CONNECTED).file("model.onnx")
    engine = tmp_path / "model.engine"
    tensorrt_builder.build_here(
        source, engine, "fp32", PROFILES, tmp_path / "cache", gpu, "tensorrt"
    )
    session = tensorrt_engine.Resident(str(tmp_path), "fp32", 1, gpu)
    batch = np.tile(step_check.images(SHAPE), (3, 1, 1, 1))[:20]
    for _ in range(3):
        session.run(batch)
    assert computed == 3 * [8, 8, 4]
    assert uploaded == [8, 8, 4]
    assert session.environment()["transfers"] == "not timed"


def test_a_timing_cache_that_tensorrt_refuses_is_replaced(toy, in_process, tmp_path, monkeypatch):
    make = fake._IBuilderConfig.create_timing_cache

    def refuse_rubbish(self, serialized_timing_cache):
        refused = serialized_timing_cache == b"rubbish"
        return None if refused else make(self, serialized_timing_cache)

    monkeypatch.setattr(fake._IBuilderConfig, "create_timing_cache", refuse_rubbish)
    gpu = in_process("8.6.0")
    cache = tmp_path / "cache"
    cache.write_bytes(b"rubbish")
    source = toy(CONVOLUTIONAL).file("model.onnx")
    tensorrt_builder.build_here(
        source, tmp_path / "e.engine", "fp32", PROFILES, cache, gpu, "tensorrt"
    )
    assert cache.read_bytes() == b"timings"


@pytest.mark.parametrize(
    "other", [{"driver": "CUDA 12.3"}, {"name": "NVIDIA T4G"}, {"tensorrt": "10.0.1"}]
)
def test_an_engine_is_loaded_by_what_it_was_built_for_only(toy, in_process, tmp_path, other):
    gpu = in_process("8.6.0")
    source = toy(CONVOLUTIONAL).file("model.onnx")
    engine = tmp_path / "model.engine"
    tensorrt_builder.build_here(
        source, engine, "fp32", PROFILES, tmp_path / "cache", gpu, "tensorrt"
    )
    in_process(other.get("tensorrt", "8.6.0"))
    with pytest.raises(StepError, match=r"was built for .* and is not loaded by"):
        tensorrt_engine.Session(str(tmp_path), "fp32", 1, gpu | other)


@pytest.mark.parametrize(
    ("version", "named"), [("8.6.0", "node number 1"), ("10.0.1", "Det (node 'Det.1')")]
)
def test_a_parser_names_what_it_knows_of_the_node(toy, in_process, version, named):
    in_process(version)
    source = toy((CONV, ("Det", ["a"], ["logits"])), valid=False).file("model.onnx")
    with pytest.raises(StepError) as caught:
        tensorrt_builder.Network(source, "tensorrt")
    assert str(caught.value) == f"tensorrt {version} does not parse {named}: no importer"


@pytest.mark.parametrize(("version", "precision"), [("8.6.0", "fp32"), ("11.4.0.106", "fp16")])
def test_an_engine_is_built_checked_and_described(toy, machine, version, precision):
    machine.plug_in(*T4)
    machine.install(version)
    ((gpu,), _) = nvidia.find()
    made = to_engine(toy(FULLY_CONNECTED), "trt-t4", precision, gpu)
    assert set(made.manifest["files"]) == {"model.engine", "engine.json", "probe.npy"}
    assert made.manifest["tools"] == {"tensorrt": version}
    assert made.manifest["parameters"]["gpu"] == "Tesla T4"
    assert made.manifest["parameters"]["driver"] == DRIVER
    if precision == "fp32":
        assert made.facts["probe_difference"] < 1e-6
    else:  # TensorRT 11 has no flag for it: the file says it
        assert 1e-5 < made.facts["probe_difference"] < 1e-2
        how = pickle.loads(made.file("model.engine").read_bytes())
        weights = onnx.load_from_string(how["onnx"]).graph.initializer
        assert {tensor.data_type for tensor in weights} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_where_tensorrt_cannot_be_had_an_engine_of_rtx_is_built(toy, machine, precision):
    machine.plug_in(*T4)
    machine.install_rtx()
    ((gpu,), _) = nvidia.find()
    made = to_engine(toy(CONVOLUTIONAL), "trt-t4", precision, gpu, RTX)
    assert made.manifest["tools"] == {"tensorrt_rtx": RTX.version}
    assert made.facts["probe_difference"] < 1e-2
    how = pickle.loads(made.file("model.engine").read_bytes())
    assert how["gpus"] == ["SM75"]
    weights = onnx.load_from_string(how["onnx"]).graph.initializer
    half = precision == "fp16"
    assert {one.data_type for one in weights} == {
        TensorProto.FLOAT16 if half else TensorProto.FLOAT
    }
    assert is_for(made, gpu, RTX) and not is_for(made, gpu)


@pytest.mark.parametrize(
    ("gpu", "cuda", "said"),
    [
        (("Tesla V100-SXM2-16GB", "70"), "13000", "it has no kernels for sm_70"),
        (
            T4,
            "12040",
            r"it takes a driver for CUDA 13, and this one is 535\.104\.05 \(CUDA 12\.4\)",
        ),
        (T4, "13000", None),
    ],
)
def test_rtx_serves_on_the_gpus_and_with_the_drivers_that_it_takes(
    machine, monkeypatch, gpu, cuda, said
):
    machine.install_rtx()
    monkeypatch.setenv("GPU_CUDA", cuda)
    machine.plug_in(*gpu)
    ((here,), _) = nvidia.find()
    assert usable(here) == (None if said else RTX)
    assert (
        re.search(rf"nor does TensorRT-RTX serve: {said}$", problem() or "")
        if said
        else (problem() is None)
    )
    machine.install("8.6.0")
    assert usable(here) == TENSORRT
    assert problem() is None


def test_an_engine_is_built_anew_for_another_gpu(toy, machine):
    machine.install("8.6.0")
    source = toy(CONVOLUTIONAL)
    made = []
    for name in ("Tesla T4", "Tesla T4 of another kind", "Tesla T4 of another kind"):
        machine.plug_in(name, "75")
        ((gpu,), _) = nvidia.find()
        made.append(to_engine(source, "trt-t4", "fp32", gpu))
    first, second, again = (one.manifest["made"] + one.key for one in made)
    assert first != second
    assert second == again  # nothing changed, nothing built


# ---- the driver ----


def test_a_machine_without_a_driver_says_so():
    if nvidia.find()[0]:
        pytest.skip("there is a GPU")
    assert nvidia.missing().startswith("there is no NVIDIA GPU here (")


def test_a_driver_that_hangs_is_given_up(machine, monkeypatch):
    monkeypatch.setenv("HANG", "1")
    monkeypatch.setattr(nvidia, "_LIMIT", 0.5)
    machine.plug_in(*T4)
    assert nvidia.find() == ((), "asking the NVIDIA driver: it did not end within 0 s")


# ---- the recorded versions ----


@pytest.mark.parametrize(
    ("version", "use"),
    [
        ("8.5.3.1", lambda trt: trt.BuilderFlag.FP8),
        ("10.0.1", lambda trt: trt.NetworkDefinitionCreationFlag.EXPLICIT_PRECISION),
        ("10.0.1", lambda trt: trt.Builder(None).build_engine),
        ("10.0.1", lambda trt: trt.Builder(None).max_batch_size),
        ("11.4.0.106", lambda trt: trt.BuilderFlag.FP16),
        ("11.4.0.106", lambda trt: trt.Builder(None).platform_has_fast_fp16),
        ("8.6.0", lambda trt: trt.OnnxParser(None, None).supports_model_v2(b"")),
    ],
)
def test_a_stand_in_lacks_what_the_version_lacks(version, use):
    with pytest.raises(AttributeError):
        use(fake.module(version))


def test_a_stand_in_takes_no_setting_and_no_argument_that_the_version_lacks():
    config = fake.module("10.0.1").Builder(None).create_builder_config()
    with pytest.raises(AttributeError, match="cannot be set"):
        config.max_workspace_size = 1
    with pytest.raises(TypeError):
        config.set_timing_cache(None)


def test_an_engine_is_for_the_tensorrt_the_gpu_and_the_driver_that_built_it(tmp_path, monkeypatch):
    gpu = Gpu(0, "Tesla T4", "sm_75", "580.1")
    monkeypatch.setattr(type(TRT), "version", lambda *_: "8.6.0")
    parameters = {"gpu": "Tesla T4", "architecture": "sm_75", "driver": "580.1"}
    manifest = {"files": {ENGINE: {}}, "parameters": parameters, "tools": {"tensorrt": "8.6.0"}}
    assert is_for(Artifact(tmp_path, manifest), gpu)
    for name, value in (
        ("files", {"model.onnx": {}}),
        ("parameters", parameters | {"driver": "590.0"}),
        ("parameters", parameters | {"gpu": "Tesla V100"}),
        ("tools", {"tensorrt": "10.0"}),
    ):
        assert not is_for(Artifact(tmp_path, manifest | {name: value}), gpu)
