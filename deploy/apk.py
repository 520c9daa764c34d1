"""The demo app as an installable file, with packages inside, from package registries alone.

    python deploy/apk.py [--model SqueezeNet1_1 ...] [--precision fp32] [--paddle-lite ARCHIVE]

Without --model every package under build/*/package goes in. No Android SDK is needed, but a JDK
(17 or newer), Maven and npm. The libraries of the engines cannot be had from the registries:
`--paddle-lite` takes the official archive (android, armv8, c++_shared, with_extra, with_cv; a
.tar.gz or its folder), `--onnxruntime` the archive onnxruntime-android-….aar. Without them the app
is built all the same, and says on screen which library is not inside.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

import time

from common import files
from common.cli import Exit, Parser, choice, run
from common.console import say, shown
from common.paths import absolute, given
from deploy.android import engines as libraries
from deploy.android.build_apk import build_apk, find_packages
from deploy.android.engines import EngineLibrary
from deploy.targets import all_precisions, app_targets
from models.registry import find_model


def main() -> int:
    options = _parser().parse_args()
    started = time.monotonic()
    models = [find_model(name).name for name in options.model or ()]
    engines = _given_engines(options)
    packages = find_packages(models, options.precision)
    apk = build_apk(packages, engines)
    inside = ", ".join(sorted(package.facts["content"] for package in packages)) or "no package"
    megabytes = apk.stat().st_size / 1e6
    say(f"  {inside}; engines: {', '.join(engine.name for engine in engines) or 'none'}")
    seconds = time.monotonic() - started
    print(f"{shown(apk)}  {megabytes:.1f} MB  {seconds:.1f} s  sha256 {files.sha256(apk)}")
    return Exit.OK


def _parser() -> Parser:
    parser = Parser(prog="python deploy/apk.py", description=__doc__)
    precisions = all_precisions(app_targets().values())
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="packaged first where it is not yet"
    )
    parser.add_argument(
        "--precision",
        action="append",
        type=choice(*precisions),
        help=f"only {', '.join(precisions)}; repeatable (with --model: default fp32)",
    )
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
