"""ONNX to TensorRT: an engine where a GPU is; elsewhere the checked file that becomes one.

Either way the file's opset and operators are held against what that TensorRT's parser knows
before anything is built.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import files
from common.errors import StepError
from common.paths import cache_root
from convert import step_check, tensorrt_folder, tensorrt_operators
from convert.artifact import Artifact, Step, produce
from convert.fp16_graph import write_fp16
from convert.to_onnx import FILE as ONNX_FILE
from runtimes.environments import MAIN
from runtimes.nvidia import Gpu
from runtimes.tensorrt_library import RTX, RTX_BUILDS_FOR, TENSORRT, Library
from runtimes.worker import Worker

ENGINE = "model.engine"
SESSION = "runtimes.sessions.tensorrt_engine:Session"
RESIDENT = "runtimes.sessions.tensorrt_engine:Resident"
WANTED = "8.6.0"  # what requirements/trt.in pins: the version that a file is checked for

# Batches (smallest, best, largest) that an engine has kernels chosen for: those of the published
# tables one by one, and any from 1 to 8 for deployment, which must be the last.
PROFILES = ((1, 1, 1), (4, 4, 4), (8, 8, 8), (1, 4, 8))

_NETWORK = "convert.tensorrt_builder:Network"
_LIMIT = 3600.0  # seconds: choosing kernels for four profiles takes minutes


def to_engine(
    onnx: Artifact, kind: str, precision: str, gpu: Gpu, library: Library = TENSORRT
) -> Artifact:
    """The engine `model.engine` of an ONNX file, built on and for a GPU of this machine.

    Its key holds the library and its version, the GPU's name, the driver, the ONNX file, the
    precision and the profiles: an engine is worth nothing where one of them differs. For int8 the
    ONNX file has its quantization in it. Checked against the ONNX file's logits, on the GPU.
    """
    step = Step(
        name="to_tensorrt",
        build=onnx.build,
        kind=kind,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={
            "gpu": gpu.name,
            "architecture": gpu.architecture,
            "driver": gpu.driver,
            "profiles": PROFILES,
        },
        tools={library.module: library.version},
        code=(to_engine,),
    )
    label = f"{kind} {precision} of {onnx.name}"

    def make(folder: Path) -> dict:
        with Worker("main", label) as main, Worker(library.environment, label) as worker:
            checked = _check(main, onnx, library.version if library == TENSORRT else WANTED)
            source, engine = onnx.file(ONNX_FILE), folder / ENGINE
            built = build_engine(worker, main, source, engine, precision, gpu, library)
            options = {"gpu": vars(gpu), "library": library.module}
            compared = step_check.verify(worker, SESSION, folder, onnx, precision, **options)
        return {**onnx.inherited_facts, **checked, **built, **compared}

    return produce(step, make, shows=ENGINE)


def build_engine(
    worker: Worker,
    main: Worker,
    source: Path,
    engine: Path,
    precision: str,
    gpu: Gpu,
    library: Library,
    profiles: Sequence[tuple[int, int, int]] = PROFILES,
) -> dict:
    """Build an ONNX file's engine for a GPU of this machine in the library's worker, and put what
    it is valid for beside it; facts about it. `main` is a worker of the main environment.
    """
    typed = worker.call("convert.tensorrt_builder:is_strongly_typed", library=library.module)

    def build(fp16: bool) -> dict:
        with _source(main, source, engine.parent, fp16) as parsed, _alone(library, gpu) as cache:
            return worker.call(
                "convert.tensorrt_builder:build_here",
                limit=_LIMIT,
                source=str(parsed),
                output=str(engine),
                precision=precision,
                profiles=profiles,
                cache=str(cache),
                gpu=vars(gpu),
                library=library.module,
            )

    try:
        return build(fp16=typed and precision == "fp16")
    except StepError:
        if not (library == RTX and precision == "int8"):
            raise
        return build(fp16=True)  # see _ahead_of_time


def is_for(engine: Artifact, gpu: Gpu, library: Library = TENSORRT) -> bool:
    """Whether an artifact is an engine that this machine's library runs on a GPU."""
    parameters, tools = engine.manifest["parameters"], engine.manifest["tools"]
    return (
        ENGINE in engine.manifest["files"]
        and tools.get(library.module) == library.version
        and (gpu.name, gpu.architecture, gpu.driver)
        == tuple(parameters[name] for name in ("gpu", "architecture", "driver"))
    )


def to_portable(onnx: Artifact, kind: str, precision: str, gpu: str, architecture: str) -> Artifact:
    """The ONNX file that a machine with the GPU ("T4") builds its engine from, checked without one.

    TensorRT-RTX, whose parser is one of TensorRT 11, must parse it, and builds an engine for the
    architecture ahead of time where it can. That engine serves TensorRT-RTX only, and cannot be run
    here; it is kept beside the file. The manifest's facts say what was found: "parsed_by", "stored"
    (where the precision is made), "trtexec" (the line to type in the folder), and "ahead_of_time"
    with "file", "loaded_by", "engine_bytes", "seconds" and "floats", the precision of what is not
    quantized, or with "not_built" and the reason. `README.md` says the same in sentences. "beside"
    are the files that no session opens.
    """
    step = Step(
        name="to_tensorrt",
        build=onnx.build,
        kind=kind,
        precision=precision,
        inputs={"onnx": onnx.key},
        parameters={"gpu": gpu, "architecture": architecture, "checked_for": WANTED},
        tools={RTX.module: RTX.version, "onnx": MAIN.version("onnx")},
        code=(to_portable,),
    )
    label = f"{kind} {precision} of {onnx.name}"

    def make(folder: Path) -> dict:
        with Worker("main", label) as worker:
            checked = _check(worker, onnx, WANTED)
            entry = worker.call(tensorrt_folder.axes, source=str(onnx.file(ONNX_FILE)))
            built = _ahead_of_time(worker, onnx, folder, precision, architecture)
        files.place(onnx.file(ONNX_FILE), folder / ONNX_FILE)
        facts = {
            **onnx.inherited_facts,
            **checked,
            "input": entry,
            "stored": tensorrt_folder.STORED[precision],
            "parsed_by": f"{RTX.module} {RTX.version}",
            "ahead_of_time": built,
            "peak_mib": worker.peak_mib,
        }
        line = trtexec_line(Path(), precision, entry)
        page = tensorrt_folder.readme(onnx.model, gpu, precision, line, PROFILES[-1], facts)
        (folder / tensorrt_folder.README).write_text(page)
        beside = [tensorrt_folder.README, *filter(None, [built.get("file")])]
        return {**facts, "trtexec": line, "beside": beside}

    note = "FP16 is made on the GPU" if precision == "fp16" else ""
    return produce(step, make, shows=ONNX_FILE, note=note)


def trtexec_line(folder: Path, precision: str, entry: Mapping[str, Any]) -> str:
    """What builds the engine of a portable artifact's folder on its card; see `trtexec` there."""
    onnx, engine = folder / ONNX_FILE, folder / ENGINE
    return tensorrt_folder.trtexec(onnx, engine, precision, entry, PROFILES[-1])


def _check(worker: Worker, onnx: Artifact, version: str) -> dict:
    return worker.call(tensorrt_operators.check, source=str(onnx.file(ONNX_FILE)), version=version)


@contextlib.contextmanager
def _source(worker: Worker, onnx: Path, folder: Path, fp16: bool) -> Iterator[Path]:
    """The file to parse: the ONNX file, or, for as long as it is needed, its float16 form."""
    if not fp16:
        yield onnx
        return
    narrow = folder / "fp16.onnx"
    worker.call(write_fp16, source=str(onnx), output=str(narrow))
    yield narrow
    narrow.unlink()


def _ahead_of_time(
    worker: Worker, onnx: Artifact, folder: Path, precision: str, architecture: str
) -> dict:
    """Parse, and build for a GPU that is not here. That it cannot be built is a finding."""
    floats = "fp16" if precision == "fp16" else "fp32"
    _parse(worker, onnx, folder, floats)
    if architecture not in RTX_BUILDS_FOR:
        return {"not_built": f"TensorRT-RTX does not build for {architecture}"}
    try:
        try:
            return _build(worker, folder, precision, architecture, floats)
        except StepError:
            if precision != "int8":
                raise
        # It has no kernel for a matrix product in float32 there, and none for one of integers that
        # has float32 around it either.
        _parse(worker, onnx, folder, "fp16")
        return _build(worker, folder, precision, architecture, "fp16")
    except StepError as error:
        return {"not_built": str(error)}


def _parse(worker: Worker, onnx: Artifact, folder: Path, floats: str) -> None:
    with _source(worker, onnx.file(ONNX_FILE), folder, fp16=floats == "fp16") as source:
        worker.open(_NETWORK, source=str(source), library=RTX.module)


def _build(worker: Worker, folder: Path, precision: str, architecture: str, floats: str) -> dict:
    started = time.monotonic()
    capability = architecture.removeprefix("sm_")
    name = f"rtx-sm{capability}.engine"
    built = worker.use(
        "build",
        output=str(folder / name),
        precision=precision,
        profiles=PROFILES[-1:],
        architecture=architecture,
    )
    return {
        **built,
        "file": name,
        "capability": f"{capability[:-1]}.{capability[-1]}",
        "loaded_by": f"{RTX.title} {RTX.version}",
        "seconds": round(time.monotonic() - started, 2),
        "floats": floats,
    }


@contextlib.contextmanager
def _alone(library: Library, gpu: Gpu) -> Iterator[Path]:
    """The timing cache of that library on that GPU, while no other build disturbs the timing."""
    name = re.sub(r"[^\w.]+", "-", f"{library.module} {library.version} {gpu.name} {gpu.driver}")
    cache = cache_root() / "tensorrt" / f"{name}.cache"
    with files.locked(cache.with_name("build.lock")):
        yield cache
