"""Inference graph to Paddle Lite: `model.nb`, for ARM or for x86."""

import shutil
from pathlib import Path

from common.errors import StepError
from convert import lite_file, step_check
from convert.artifact import Artifact, Step, produce
from convert.builds import GRAPH, PARAMETERS
from convert.kind import Kind
from convert.own_biases import write_with_own_biases
from runtimes.environments import LITE, MAIN
from runtimes.worker import Worker

FILE = "model.nb"
SESSION = "runtimes.sessions.paddle_lite:Session"

# By the hardware that the kernels in the file are for.
KINDS = {name: Kind(f"lite-{name}", (FILE,), shown=FILE) for name in ("arm", "x86")}


def kind_of_cut_file(hardware: str, cut: Artifact) -> Kind:
    """Of the file of a graph that ends early, which lies beside that."""
    return Kind(f"{cut.manifest['kind']}-{KINDS[hardware].name}", (FILE,), shown=FILE)


def to_lite(
    inference: Artifact, hardware: str, precision: str = "fp32", cut: Kind | None = None
) -> Artifact:
    """The `.nb` file of an inference graph for `hardware`, "arm" or "x86".

    Both are read back: the optimizer's version, that every kernel in the file is for this hardware
    or the host, and that the layers with weights compute in this precision. The x86 file is also
    run against the inference graph's logits; an ARM file needs ARM ("it runs" on x86 and returns
    uninitialised memory). With fp16 the file's weights stay float32, and its kernels need ARMv8.2.
    For int8 the graph is a quantized one, and its biases stay additions: that is the form whose
    simulation has been held against ARM code. In the others they are the convolutions' own.

    `cut` is the kind of a file of a graph that ends early: what it gives are no logits, and whether
    it is right is what the file is made for to see, so that it is not run, nor its layers counted.
    """
    kind = cut or KINDS[hardware]
    label = f"to_lite {hardware} of {inference.name}"
    step = Step(
        name=f"to_{KINDS[hardware].name}",
        build=inference.build,
        kind=kind.name,
        precision=precision,
        inputs={"inference": inference.key},
        parameters={},
        tools={
            "paddlelite": LITE.version("paddlelite") or "absent",
            "paddlepaddle": MAIN.version("paddlepaddle"),
        },
        code=(to_lite,),
    )

    def make(folder: Path) -> dict:
        source, biases = inference.folder, 0
        if precision != "int8":
            source = folder / "graph"
            with Worker("main", label) as worker:
                biases = worker.call(
                    write_with_own_biases, source=str(inference.folder), output=str(source)
                )
        with Worker("lite", label) as worker:
            version = worker.call(
                "convert.lite_optimizer:optimize",
                model=str(source / GRAPH),
                parameters=str(source / PARAMETERS),
                output=str(folder / Path(FILE).stem),
                target=hardware,
                fp16=precision == "fp16",
            )
            facts = {
                **inference.inherited_facts,
                **read_back(
                    folder / FILE,
                    hardware,
                    precision,
                    version,
                    label,
                    layers_int8=None if cut else inference.facts.get("layers_int8", 0),
                ),
                "own_biases": biases,
                "peak_mib": worker.peak_mib,
            }
            if hardware == "x86" and not cut:
                facts |= step_check.verify(worker, SESSION, folder, inference, precision)
        if source != inference.folder:
            shutil.rmtree(source)
        return facts

    return produce(step, make, shows=kind.shown)


def read_back(
    path: Path, hardware: str, precision: str, version: str, label: str, layers_int8: int | None = 0
) -> dict:
    """The facts in a `.nb` file; StepError where they are not those that were asked for.

    In an int8 file as many layers as the quantized graph has, `layers_int8`, compute in integers,
    and the others in float32; in fp32 and fp16 files all layers compute in that precision. None:
    they are not counted.
    """
    if not path.exists():
        raise StepError(f"{label}: the optimizer wrote no file")
    try:
        found = lite_file.read(path)
    except ValueError as error:
        raise StepError(f"{label}: {error}") from error
    foreign = set(found.kernels) - {hardware, "host"}
    if hardware not in found.kernels or foreign:
        raise StepError(f"{label}: its kernels are for {found.kernels}")
    layers = found.layer_precisions
    if precision == "int8":
        right = layers.get("int8", 0) == layers_int8 and set(layers) <= {"int8", "fp32"}
        wanted = f"{layers_int8} layers in int8"
    else:
        right, wanted = set(layers) == {precision}, f"all in {precision}"
    unasked = "fp16" in found.precisions and precision != "fp16"
    if unasked or (layers_int8 is not None and not right):
        raise StepError(
            f"{label}: its layers compute in {layers} and its kernels in {found.precisions}; "
            f"{wanted} was asked for"
        )
    if found.version != version:
        raise StepError(f"{label}: says it is of version {found.version}, not {version}")
    return {
        "opt_version": version,
        "kernels": found.kernels,
        "kernel_precisions": found.precisions,
        "layer_precisions": layers,
        "operators": found.operators,
    }
