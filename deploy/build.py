"""Make the files of one or more targets, each step checked against the one before.

python deploy/build.py --model SqueezeNet1_1 --target all
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from common import venv

    venv.enter()

from common.cli import Exit, Parser, run
from common.console import say, shown
from convert.to_onnx import DEFAULT_OPSET, OPSETS
from deploy.chain import inference_graph
from deploy.targets import TARGETS, find_precisions, find_targets
from deploy.targets.base import Options
from models.registry import find_model


def add_chain_arguments(parser: Parser) -> None:
    """The arguments of every command that makes files."""
    parser.add_argument(
        "--target",
        action="append",
        required=True,
        metavar="NAME",
        help=f"{', '.join(TARGETS)} or all; repeatable",
    )
    parser.add_argument(
        "--precision",
        action="append",
        metavar="P",
        help="fp32, bf16, fp16; repeatable (default: every precision of the target)",
    )
    parser.add_argument(
        "--weights",
        metavar="W",
        help="a file, a folder, official, demo or random (default: what was exported last, else "
        "what is found)",
    )
    parser.add_argument("--classes", type=int, metavar="N", help="default: 1000")
    parser.add_argument(
        "--opset",
        type=int,
        default=DEFAULT_OPSET,
        choices=OPSETS,
        metavar="N",
        help=f"ONNX opset (default: {DEFAULT_OPSET}; 13 for old runtimes)",
    )


def main() -> int:
    parser = Parser(prog="make convert", description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", required=True, metavar="NAME")
    add_chain_arguments(parser)
    options = parser.parse_args()
    specs = [find_model(name) for name in options.model]
    plans = [
        (target, precision)
        for target in find_targets(options.target)
        for precision in find_precisions(target, options.precision)
    ]
    status = Exit.OK
    for spec in specs:
        graph = inference_graph(spec, options.weights, options.classes)
        for target, precision in plans:
            problem = target.problem()
            if problem:
                say(f"  {target.name} {precision} is unavailable: {problem}")
                status = Exit.UNDECIDED
                continue
            artifact = target.build(graph, precision, Options(options.opset))
            print(f"{spec.name} {target.name} {precision}: {shown(artifact.folder)}")
    return status


if __name__ == "__main__":
    run(main)
