"""The demo app as an installable file, with packages inside, from package registries alone.

    python deploy/apk.py [--model SqueezeNet1_1 ...] [--precision fp32] [--paddle-lite ARCHIVE]

Packages of the models and builds that are named are made where they are missing, or of another
file than is there now, as deploy/package.py makes them; its arguments are understood here, too.
Without --model every package under build/*/package goes in that is of its build's files.

No Android SDK is needed, but a JDK (17 or newer), Maven and npm. The libraries of the engines
cannot be had from the registries: `--paddle-lite` takes the official archive (android, armv8,
c++_shared, with_extra, with_cv; a .tar.gz or its folder), `--onnxruntime` the archive
onnxruntime-android-….aar. Without them the app is built all the same, and says on screen which
library is not inside.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import argparse
import time

from common import files
from common.cli import Exit, Parser, run
from common.console import say, shown
from common.errors import UserError
from common.paths import absolute, given
from convert.artifact import Artifact
from deploy.android import engines as libraries
from deploy.android.build_apk import build_apk
from deploy.android.engines import EngineLibrary
from deploy.packages.making import (
    add_package_arguments,
    check_precisions,
    make_packages,
    packages_here,
)
from deploy.request.arguments import add_build_arguments

_OF_ALL = ("precision", "paddle_lite", "onnxruntime")  # what can be said of packages that are there
_OF_STANDING = (*_OF_ALL, "model", "name", "target")


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    started = time.monotonic()
    engines = _given_engines(options)
    packages = _packages(parser, options)
    apk = build_apk(packages, engines)
    inside = ", ".join(sorted(package.facts["content"] for package in packages)) or "no package"
    megabytes = apk.stat().st_size / 1e6
    say(f"  {inside}; engines: {', '.join(engine.name for engine in engines) or 'none'}")
    seconds = time.monotonic() - started
    print(f"{shown(apk)}  {megabytes:.1f} MB  {seconds:.1f} s  sha256 {files.sha256(apk)}")
    return Exit.OK


def _packages(parser: Parser, options: argparse.Namespace) -> list[Artifact]:
    """What goes into the app: of the builds that are named, else every package that is here."""
    told = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    if options.model or options.name:
        anew = any(name not in _OF_STANDING for name in told)
        made = [package for *_, package in make_packages(options, anew=anew) if package]
        if not made:
            raise UserError("none of the packages can be made here, for the reasons above")
        return made
    for name in told:
        if name not in _OF_ALL:
            flag = f"--{name.replace('_', '-')}"
            parser.error(f"{flag} is for packages that are made here: give --model with it")
    check_precisions(options.precision, for_app=True)
    found = packages_here(options.precision)
    if not found:
        say("  nothing is packaged yet, so no model is inside: --model NAME packages one")
    return found


def _parser() -> Parser:
    parser = Parser(prog="python deploy/apk.py", description=__doc__)
    add_build_arguments(parser, "every package that is here")
    add_package_arguments(parser, for_app=True)
    parser.add_argument(
        "--paddle-lite",
        type=absolute,
        metavar="PATH",
        help="Paddle Lite's Android archive or its folder (default: $PADDLE_LITE_ANDROID)",
    )
    parser.add_argument(
        "--onnxruntime",
        type=absolute,
        metavar="PATH",
        help="ONNX Runtime's Android archive, .aar (default: $ONNXRUNTIME_ANDROID)",
    )
    return parser


def _given_engines(options) -> list[EngineLibrary]:
    engines = []
    if archive := options.paddle_lite or given("PADDLE_LITE_ANDROID"):
        engines.append(libraries.paddle_lite(archive))
    else:
        say("  without Paddle Lite's library: PADDLE_LITE_ANDROID=path of its archive adds it")
    if archive := options.onnxruntime or given("ONNXRUNTIME_ANDROID"):
        engines.append(libraries.onnxruntime(archive))
    else:
        say("  without ONNX Runtime's library: ONNXRUNTIME_ANDROID=path of its .aar adds it")
    return engines


if __name__ == "__main__":
    run(main)
