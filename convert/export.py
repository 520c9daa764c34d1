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

from common.cli import Exit, Parser, positive, run, word_or_path
from common.console import shown
from common.errors import UserError
from common.hashes import cached_sha256
from convert import builds, step_check
from convert.artifact import Artifact, Build, Step, produce
from convert.builds import KIND, SPLIT, Chosen
from data.images import printable
from models.registry import ModelSpec, find_model
from models.split import split_beside, split_file
from models.weights import WORDS, Weights
from runtimes.environments import MAIN
from runtimes.worker import Worker

SESSION = "runtimes.sessions.paddle_inference:Session"


def export(spec: ModelSpec, weights: Weights, class_num: int, name: str) -> Artifact:
    """The inference graph of a model with these weights, in the build of this name.

    Input `x` float32 [N, 3, S, S], one output, logits float32 [N, class_num], any N. Checked
    against the network it was made from. The checkpoint's split goes with it (`split_of`).
    """
    split = split_file(weights) if split_beside(weights) else None
    step = Step(
        name="export",
        build=Build(spec.name, name),
        kind=KIND.name,
        precision="fp32",
        inputs={"weights": weights.sha256} | ({"split": cached_sha256(split)} if split else {}),
        parameters={"class_num": class_num, "preprocess": spec.preprocess.to_json()},
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
                folder=str(folder),
            )
            if not eager.any():
                raise UserError(
                    f"{weights.path}: {spec.name} gives logits of zero for every image with these "
                    "weights; see whether the file is whole"
                )
            checked = step_check.verify_against(worker, SESSION, folder, eager, spec.input_shape)
        if split:
            shutil.copyfile(split, folder / SPLIT)
        return {
            "weights": weights.label,
            "weights_sha256": weights.sha256,
            "weights_path": printable(weights.path.resolve()) if weights.path else None,
            "class_num": class_num,
            "input_shape": list(spec.input_shape),
            **checked,
        }

    return produce(step, make, shows=KIND.shown)


def export_build(chosen: Chosen, weights: str | None, class_num: int | None) -> Artifact:
    """The inference graph of what a user has chosen, in a build that holds no other checkpoint.

    `weights` as for `models.weights.find_weights`; None: the build's own, else what is found.
    `class_num` None: as many as the weights tell apart.
    """
    found = builds.weights_of(chosen, weights)
    classes = class_num or builds.class_count(found)
    name = builds.place(chosen.spec, found, classes, chosen.name)
    return export(chosen.spec, found, classes, name)


def write_graph(model: str, weights: dict, class_num: int, folder: str):
    """In a child process: write the graph into a folder; return the network's own logits.

    The logits, float32 [8, class_num], are for `synthetic.images`, all eight in one batch.
    """
    import paddle

    from models.layers import recalibrate_batch_norms
    from models.weights import load_state

    path = Path(weights["path"]) if weights["path"] else None
    spec = find_model(model)
    network = spec.build(class_num=class_num)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    network.set_state_dict(load_state(Weights(**weights | {"path": path}), shapes))
    synthetic = paddle.to_tensor(step_check.images(spec.input_shape))
    if weights["origin"] == "random":
        recalibrate_batch_norms(network, synthetic)
    with paddle.no_grad():
        logits = network(synthetic).numpy()
    batch = paddle.static.InputSpec([None, *spec.input_shape], "float32", "x")
    static = paddle.jit.to_static(network, [batch], full_graph=True)
    paddle.jit.save(static, f"{folder}/inference")
    (Path(folder) / "inference.pdiparams.info").unlink(missing_ok=True)
    return logits


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
    options = parser.parse_args()
    chosen = builds.choose(options.model, options.name)
    artifact = export_build(chosen, options.weights, options.classes)
    print(f"{artifact.name} ({artifact.facts['weights']} weights): {shown(artifact.folder)}")
    return Exit.OK


if __name__ == "__main__":
    run(main)
