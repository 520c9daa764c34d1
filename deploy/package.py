"""What an app needs to run a model and to prove that it computes the same: one folder, one zip.

    python deploy/package.py --model SqueezeNet1_1 [--target lite-arm] [--data DIR] [--photos 16]

Its form is described in docs/package.md. The packages of some targets are for the demo app, those
of others for programs of your own, with a page that says how. Without --target for every target
that the app runs, without --precision in FP32, and in INT8 where that was judged here. Sixteen
photos go into it unless --photos says otherwise.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import NOT_HERE, Exit, Parser, end_with, run
from common.console import shown
from deploy.packages.making import add_package_arguments, make_packages
from deploy.packages.package import zip_path
from deploy.request.arguments import add_build_arguments


def main() -> int:
    parser = Parser(prog="python deploy/package.py", description=__doc__)
    add_build_arguments(parser)
    add_package_arguments(parser, for_app=False)
    status = Exit.OK
    for name, (target, precision), made in make_packages(parser.parse_args(), anew=True):
        if made is None:
            status = Exit.UNDECIDED
            end_with(NOT_HERE)
        else:
            print(f"{name} {target.name} {precision}: {shown(zip_path(made))}")
    return status


if __name__ == "__main__":
    run(main)
