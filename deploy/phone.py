"""Run the app's check and bench on a phone, over adb, and take the results in.

    python deploy/phone.py [--model SqueezeNet1_1 ...] [--only check|bench] [--serial ID]

Installs the app that `make apk` built, pushes the packages of --model (without it the app runs
all that it has), runs check and bench without a touch on the screen, and pulls what they wrote to
build/phone/<serial>. The check's results are then judged as by deploy/validate.py --import. The
phone must be unlocked, and allow debugging over USB.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from collections.abc import Sequence

from common.cli import Exit, Parser, choice, end_with, positive, run
from common.console import say, shown
from common.errors import UserError
from common.paths import build_root
from deploy.android.project import read_project
from deploy.phones.adb import Outcome, Phone
from deploy.request.arguments import add_build_arguments
from deploy.request.building import choose_builds
from deploy.targets import all_precisions, app_targets
from runtimes.adb import find_adb, find_serial

_RUNS = ("check", "bench")
_APK = "apk/paddle-portage-demo.apk"


def main() -> int:
    options = _parser().parse_args()
    adb = find_adb()
    names = _names(options)
    packages = _packages(names, options.precision)
    apk = build_root() / _APK
    if not apk.is_file():
        raise UserError(f"{shown(apk)} is not there; build it: make apk MODELS=…")
    serial = find_serial(adb, options.serial)
    if serial is None:
        print("unavailable: no phone is connected; plug one in and allow debugging over USB")
        end_with("this is no error: no phone is connected; next: connect one, and allow debugging")
        return Exit.UNDECIDED
    phone = Phone(adb, serial, read_project().application_id)
    phone.install(apk)
    phone.push(packages)
    out = build_root() / "phone" / serial.replace(":", "-")
    outcomes = [
        phone.run(word, _extras(options, names), options.limit, out / word)
        for word in options.only or _RUNS
    ]
    for outcome in outcomes:
        for error in outcome.errors:
            say(f"  on the phone: {error}")
    return _exit_status(outcomes)


def _parser() -> Parser:
    parser = Parser(prog="python deploy/phone.py", description=__doc__)
    precisions = all_precisions(app_targets().values())
    add_build_arguments(parser, "what the app has in it; those named are pushed")
    parser.add_argument(
        "--precision",
        action="append",
        type=choice(*precisions),
        help=f"only {', '.join(precisions)} of them; repeatable",
    )
    parser.add_argument("--only", action="append", type=choice(*_RUNS), help="default: both")
    parser.add_argument("--threads", type=positive, help="default: as chosen in the app")
    parser.add_argument("--runs", type=positive, help="of the bench (default: the app's 50)")
    parser.add_argument("--serial", metavar="ID", help="which phone, where several are connected")
    parser.add_argument(
        "--limit",
        type=positive,
        default=1800,
        metavar="SECONDS",
        help="how long check or bench may take (default: 1800)",
    )
    return parser


def _names(options) -> list[str]:
    """The builds that are named; none where none is."""
    if not (options.model or options.name):
        return []
    return [one.folder for one in choose_builds(options.model, options.name, None)]


def _extras(options, names: Sequence[str]) -> dict[str, str]:
    given = {"model": ",".join(names), "threads": options.threads, "runs": options.runs}
    return {name: str(value) for name, value in given.items() if value}


def _packages(names: Sequence[str], precisions: Sequence[str] | None) -> list[Path]:
    """The folders of the named builds' packages, whatever their target."""
    from deploy.packages.making import packages_here
    from deploy.packages.package import content_folder

    folders = []
    for name in names:
        chosen = packages_here(precisions, name)
        if not chosen:
            raise UserError(
                f"{name} has no such package here; make it: make package MODEL={name} TARGET=…"
            )
        folders += [content_folder(package) for package in chosen]
    return folders


def _exit_status(outcomes: list[Outcome]) -> int:
    """Show the results; judge the check's as validate does. What did not run decides nothing."""
    from deploy.phones import phone_result
    from deploy.verdict import tables
    from deploy.verdict.result import exit_status

    status = Exit.OK
    for outcome in outcomes:
        for path in outcome.files:
            print(shown(path))
        if outcome.word == "check" and outcome.files:
            judged = phone_result.import_results(outcome.files)
            tables.show(phone_result.beside(judged))
            status = exit_status(judged, accept_simulated=False)
    if status == Exit.OK and any(outcome.errors or not outcome.files for outcome in outcomes):
        return Exit.UNDECIDED
    return status


if __name__ == "__main__":
    run(main)
