"""The demo app as an installable file, with packages inside, from package registries alone.

    python deploy/apk.py [--model SqueezeNet1_1 ...] [--precision fp32] [--paddle-lite ARCHIVE]

Packages of the models and builds that are named are made where they are missing, or of another
file than is there now, as deploy/package.py makes them; its arguments are understood here, too.
Without --model every package under build/*/package goes in that is of its build's files.

Where nothing is packaged yet, SqueezeNet1_1 is, for OpenCV, with the demo weights.

No Android SDK is needed, but a JDK (17 or newer), Maven and npm. OpenCV's library is fetched from
Maven Central and always inside: packages of target opencv run. Those of the other engines cannot be
had from the registries: `--paddle-lite` takes the official archive (android, armv8, c++_shared,
with_extra, with_cv; a .tar.gz or its folder), or the word official, which fetches it;
`--onnxruntime` the archive onnxruntime-android-….aar. What is not inside, the app says on screen.

With `--key` the app opens those packages only that are signed with one of these keys, and whoever
holds them can bring others to it.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import argparse
import os
import time
from pathlib import Path

from common import files
from common.cli import Exit, Parser, choice, run, word_or_path
from common.console import say, shown
from common.errors import UserError
from common.paths import absolute, given
from convert.artifact import Artifact
from deploy.android import engines as libraries
from deploy.android.archive import sizes
from deploy.android.build_apk import build_apk
from deploy.android.engines import ABIS, EngineLibrary
from deploy.android.tools import find_java
from deploy.packages.making import (
    add_package_arguments,
    check_precisions,
    make_packages,
    packages_here,
)
from deploy.packages.package import content_folder
from deploy.packages.signature import check_signed, public_keys, public_pem
from deploy.request.arguments import add_build_arguments, chosen_builds
from deploy.targets.opencv import OpenCv
from models.demo_weights import MODEL as DEMO_MODEL
from runtimes.paddle_lite_arm.library import OFFICIAL

# For packages that are there, too.
_OF_ALL = ("precision", "paddle_lite", "onnxruntime", "abis", "key")
_OF_STANDING = (*_OF_ALL, "model", "name", "target")


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    started = time.monotonic()
    keys = public_keys(options.key or ())
    find_java()  # what is lacking is said before anything is fetched or made
    if options.model or options.name:
        chosen_builds(options)  # and what is misspelled
    engines = _engines(options)
    packages = _packages(parser, options)
    _require_signed(packages, list(keys.values()))
    apk = build_apk(packages, engines, {name: public_pem(key) for name, key in keys.items()})
    inside = ", ".join(sorted(package.facts["content"] for package in packages))
    megabytes = apk.stat().st_size / 1e6
    say(f"  {inside}; engines: {', '.join(engine.name for engine in engines)}")
    if keys:
        names = ", ".join(name[:12] for name in keys)
        say(f"  opens only packages that are signed with: {names} (sha256)")
    for part, size in sorted(sizes(apk).items(), key=lambda one: -one[1]):
        say(f"  {size / 1e6:6.2f} MB  {part}")
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
    return packages_here(options.precision) or _first_package(options)


def _require_signed(packages: list[Artifact], keys: list[Path]) -> None:
    """Where keys go into the app, so do only packages that it will open."""
    for package in packages if keys else ():
        try:
            check_signed(content_folder(package), keys, package.facts["content"])
        except UserError as error:
            raise UserError(f"with KEY= the app would not open a package: {error}") from None


def _first_package(options: argparse.Namespace) -> list[Artifact]:
    """For whoever has none yet: a model that recognizes, on the engine that is always there."""
    say(f"  nothing is packaged yet: {DEMO_MODEL} for {OpenCv.name} is, with the demo weights")
    options.model, options.target, options.weights = [DEMO_MODEL], [OpenCv.name], "demo"
    return [package for *_, package in make_packages(options, anew=False) if package]


def _parser() -> Parser:
    parser = Parser(prog="python deploy/apk.py", description=__doc__)
    add_build_arguments(parser, "every package that is here")
    add_package_arguments(parser, for_app=True)
    parser.add_argument(
        "--paddle-lite",
        type=word_or_path(OFFICIAL),
        metavar="PATH",
        help=f"Paddle Lite's Android archive, its folder, or {OFFICIAL}, which fetches it "
        "(default: $PADDLE_LITE_ANDROID)",
    )
    parser.add_argument(
        "--onnxruntime",
        type=absolute,
        metavar="PATH",
        help="ONNX Runtime's Android archive, .aar (default: $ONNXRUNTIME_ANDROID)",
    )
    parser.add_argument(
        "--abis",
        action="append",
        type=choice(*ABIS),
        metavar="ABI",
        help=f"the processors that it is for: {', '.join(ABIS)}; repeatable (default: {ABIS[0]}; "
        f"{ABIS[1]} is that of emulators and Chromebooks)",
    )
    parser.add_argument(
        "--key",
        action="append",
        type=absolute,
        metavar="PATH",
        help="the public key (P-256, PEM) of whose packages the app opens, and of nobody else's; "
        "or a folder of such files *.pem; repeatable (default: it opens anybody's)",
    )
    return parser


def _engines(options) -> list[EngineLibrary]:
    """OpenCV's library, and those that are given."""
    abis = options.abis or ABIS[:1]
    engines = [libraries.opencv(abis)]  # the first: its libc++_shared.so is the newest
    if named := options.paddle_lite or os.environ.get("PADDLE_LITE_ANDROID"):
        engines.append(libraries.paddle_lite(named, abis))
    else:
        say(
            "  without Paddle Lite's library: PADDLE_LITE_ANDROID=path of its archive adds it, or "
            f"PADDLE_LITE_ANDROID={OFFICIAL}, which fetches it"
        )
    if archive := options.onnxruntime or given("ONNXRUNTIME_ANDROID"):
        engines.append(libraries.onnxruntime(archive, abis))
    else:
        say("  without ONNX Runtime's library: ONNXRUNTIME_ANDROID=path of its .aar adds it")
    return engines


if __name__ == "__main__":
    run(main)
