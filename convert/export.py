"""Checkpoint to inference graph: `inference.pdmodel` and `inference.pdiparams`.

    python convert/export.py --model SqueezeNet1_1 [--weights official|demo|random|PATH]

The graph is of the older, "legacy" kind, which Paddle Lite needs.
"""

import shutil
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import files
from common.cli import Exit, Parser, positive, run, word_or_path
from common.console import shown
from common.errors import UserError
from common.hashes import cached_sha256
from convert import builds, step_check
from convert.artifact import Artifact, Build, Step, produce
from convert.builds import KIND, NAMES, SPLIT, Chosen
from data.images import printable
from models.beside import Beside, find_beside
from models.registry import ModelSpec, find_model
from models.split import split_beside, split_file
from models.weights import WORDS, Weights
from runtimes.environments import MAIN
from runtimes.worker import Worker

SESSION = "runtimes.sessions.paddle_inference:Session"


def export(
    spec: ModelSpec, weights: Weights, class_num: int, name: str, beside: Beside | None = None
) -> Artifact:
    """The inference graph of a model with these weights, in the build of this name.

    Input `x` float32 [N, 3, S, S], one output, logits float32 [N, class_num], any N. Checked
    against the network it was made from. The checkpoint's split goes with it (`split_of`), and what
    lies `beside` it: how photos are prepared, which decides S (None: as published), and names of
    classes.
    """
    split = split_file(weights) if split_beside(weights) else None
    beside = beside or Beside(spec.preprocess)
    side = beside.preprocess.crop
    shape = (3, side, side)
    names = {"class_names": files.sha256_of(beside.names)} if beside.names else {}
    config = beside.config
    step = Step(
        name="export",
        build=Build(spec.name, name),
        kind=KIND.name,
        precision="fp32",
        inputs={"weights": weights.sha256, **names}
        | ({"split": cached_sha256(split)} if split else {}),
        parameters={"class_num": class_num, "preprocess": beside.preprocess.to_json()},
        tools={"paddlepaddle": MAIN.version("paddlepaddle")},
        code=(export, spec.builder),
    )

    def make(folder: Path) -> dict:
        with Worker("main", f"export of {name}") as worker:
            eager = worker.call(
                write_graph,
                model=spec.name,
                weights=vars(weights) | {"path": str(weights.path or "")},
                class_num=class_num,
                shape=shape,
                folder=str(folder),
            )
            if not eager.any():
                raise UserError(
                    f"{weights.path}: {spec.name} gives logits of zero for every image with these "
                    "weights; see whether the file is whole"
                )
            checked = step_check.verify_against(worker, SESSION, folder, eager, shape)
        if split:
            shutil.copyfile(split, folder / SPLIT)
        if beside.names:
            files.write_json(folder / NAMES, beside.names)
        return {
            "weights": weights.label,
            "weights_sha256": weights.sha256,
            "weights_path": printable(weights.path.resolve()) if weights.path else None,
            "weights_key": weights.key,
            "class_num": class_num,
            "input_shape": list(shape),
            "preprocess": beside.preprocess.to_json(),
            "config": {"path": printable(config), "sha256": cached_sha256(config)}
            if config
            else None,
            **checked,
        }

    return produce(step, make, shows=KIND.shown)


def export_build(
    chosen: Chosen,
    weights: str | None,
    class_num: int | None,
    key: str | None = None,
    config: str | None = None,
) -> Artifact:
    """The inference graph of what a user has chosen, in a build that holds no other checkpoint.

    `weights` and `key` as for `models.weights.find_weights`; None: the build's own, else what is
    found. `class_num` None: as many as the weights tell apart. `config` as for `find_beside`.
    """
    found = builds.weights_of(chosen, weights, key)
    classes = class_num or builds.class_count(found)
    beside = find_beside(chosen.spec, found, classes, config)
    name = builds.place(chosen.spec, found, classes, chosen.name, beside.preprocess)
    return export(chosen.spec, found, classes, name, beside)


def write_graph(
    model: str, weights: dict, class_num: int, shape: tuple[int, int, int], folder: str
):
    """In a child process: write the graph into a folder; return the network's own logits.

    The logits, float32 [8, class_num], are for `synthetic.images` of this shape, all eight in one
    batch. UserError where the network cannot take photos of that shape.
    """
    import paddle

    from models.layers import recalibrate_batch_norms
    from models.weights import load_state

    path = Path(weights["path"]) if weights["path"] else None
    spec = find_model(model)
    network = spec.build(class_num=class_num)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    network.set_state_dict(load_state(Weights(**weights | {"path": path}), shapes))
    synthetic = paddle.to_tensor(step_check.images(shape))
    if shape != spec.input_shape:
        _check_shape(spec, network, synthetic)
    if weights["origin"] == "random":
        recalibrate_batch_norms(network, synthetic)
    with paddle.no_grad():
        logits = network(synthetic).numpy()
    batch = paddle.static.InputSpec([None, *shape], "float32", "x")
    static = paddle.jit.to_static(network, [batch], full_graph=True)
    paddle.jit.save(static, f"{folder}/inference")
    (Path(folder) / "inference.pdiparams.info").unlink(missing_ok=True)
    return logits


def _check_shape(spec: ModelSpec, network, photos) -> None:
    import paddle

    side = photos.shape[-1]
    try:
        with paddle.no_grad():
            network(photos)
    except (ValueError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{spec.name} cannot take photos of {side} x {side} pixels, to which the config beside "
            f"the checkpoint crops them, but of {spec.input_shape[-1]}; is that config another's? "
            "CONFIG=file names another, CONFIG=none takes what is published"
        ) from error


def main() -> int:
    parser = Parser(prog="python convert/export.py", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="its name in the README, or a build's")
    builds.add_name_argument(parser)
    parser.add_argument(
        "--weights",
        type=word_or_path(*WORDS),
        help="a .pdparams or .safetensors file, a folder of them, official, demo or random "
        "(default: what is found in the weights folder or the cache)",
    )
    parser.add_argument(
        "--classes", type=positive, help="default: as many as the weights tell apart, else 1000"
    )
    builds.add_beside_arguments(parser)
    options = parser.parse_args()
    chosen = builds.choose(options.model, options.name)
    artifact = export_build(
        chosen, options.weights, options.classes, options.weights_key, options.config
    )
    print(f"{artifact.name} ({artifact.facts['weights']} weights): {shown(artifact.folder)}")
    return Exit.OK


if __name__ == "__main__":
    run(main)
