"""The C++ program of examples/cpp: built here, and checked with packages.

    python deploy/cpp.py [--model SqueezeNet1_1] [--target openvino] [--compare FOLDER] [--bench]

Without --model it is only built. Packages of the models and builds that are named are made where
they are missing, or of another file than is there now, as deploy/package.py makes them; its
arguments are understood here, too. The program then decides the golden photos, and the status is
that of its check. With --compare it and Python decide the same photos, and both are timed.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import argparse

from common.cli import NOT_HERE, Exit, Parser, end_with, run
from common.console import shown
from common.errors import UserError
from common.paths import absolute
from deploy.packages.making import add_package_arguments, make_packages
from deploy.request.arguments import add_build_arguments, chosen_builds
from deploy.targets import TARGETS

_TARGETS = ("openvino", "onnx")  # whose packages it opens
_OF_STANDING = ("model", "name", "target", "precision", "compare", "bench")
_FEW = (
    "this is no error: the golden photos are too few to judge what is not fp32; next: judge the "
    "file itself (make validate), and see that C++ decides as Python (COMPARE=/your/photos)"
)


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    told = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    _check(parser, options, told)
    if options.model or options.name:
        chosen_builds(options)  # what is misspelled is said before anything is compiled
    from deploy.packages import cpp_program  # here: --help needs no numpy

    program = cpp_program.built()
    print(shown(program))
    if not (options.model or options.name):
        return Exit.OK
    photos = _photos(options.compare) if options.compare else None
    status = Exit.OK
    for name, cell, made in make_packages(options, anew=bool({*told} - {*_OF_STANDING})):
        if made is None:
            end_with(NOT_HERE)
            status = _worse(status, Exit.UNDECIDED)
            continue
        done = cpp_program.check(program, made, bench=options.bench)
        label = f"{name} {cell[0].name} {cell[1]}"
        for line in done.printed.splitlines():
            print(f"{label}: {line}")
        if done.status == Exit.UNDECIDED:
            end_with(_FEW)
        status = _worse(status, Exit(done.status))
        if photos and (why := cpp_program.incomparable(cell)):
            print(f"{label}: not compared with Python, as {why}")
            status = _worse(status, Exit.UNDECIDED)
        elif photos:
            sides = cpp_program.side_by_side(program, made, cell, photos)
            print(f"{label}: {sides.sentence()}")
            status = _worse(status, Exit.OK if sides.agree(cell[1]) else Exit.BROKEN)
    return status


def _worse(one: Exit, other: Exit) -> Exit:
    """What is broken counts before what is undecided."""
    return next((status for status in (Exit.BROKEN, Exit.UNDECIDED) if status in (one, other)), one)


def _photos(folder):
    """All photos of a folder, labels or not."""
    from data.images import ImageSet
    from data.photo_folders import UNLABELLED

    return ImageSet.open(folder, None, labels=UNLABELLED)


def _check(parser: Parser, options: argparse.Namespace, told: list[str]) -> None:
    """Refuse what the program cannot do; "all" are the targets whose packages it opens."""
    for name in options.target or ():
        if name not in (*_TARGETS, "all"):
            known = " and ".join(_TARGETS)
            raise UserError(f"the C++ program opens packages of {known}, not of {name}")
    if "all" in (options.target or ()):
        options.target = list(_TARGETS)
    if told and not (options.model or options.name):
        flag = f"--{told[0].replace('_', '-')}"
        parser.error(f"{flag} is for packages, which are checked: give --model with it")


def _parser() -> Parser:
    parser = Parser(prog="python deploy/cpp.py", description=__doc__)
    add_build_arguments(parser, "none: it is only built")
    opened = {name: TARGETS[name] for name in _TARGETS}
    add_package_arguments(parser, for_app=False, offered=opened)
    parser.set_defaults(target_default=[_TARGETS[0]])
    parser.add_argument("--bench", action="store_true", help="print its latency, too")
    parser.add_argument(
        "--compare",
        type=absolute,
        metavar="FOLDER",
        help="photos that it and Python decide, with the speed of both",
    )
    return parser


if __name__ == "__main__":
    run(main)
