"""What this machine has for the toolkit, what is missing, and how to get it (`make doctor`).

    python deploy/doctor.py --host ssh:NAME      the same of another host than this machine

Exit status: 0 all that is required is here, 1 something required is missing.
"""

import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common import machine, process
from common.cli import Exit, Parser, end_with, run
from common.console import colored, table
from common.errors import StepError, UserError
from common.paths import CACHE_GB, build_root, cache_limit, cache_root
from data.crop_room import crop_bytes
from deploy.request.arguments import add_host_arguments, named_host
from deploy.targets import TARGETS
from deploy.targets.base import Target
from models.registry import MODELS
from models.weights import available
from runtimes import nvidia
from runtimes.environments import ENVIRONMENTS, Environment
from runtimes.hosts import arm
from runtimes.hosts.base import Check, Host
from runtimes.hosts.local import LOCAL
from runtimes.paddle_lite_arm import library
from runtimes.paddle_lite_arm.program import COMPILER
from runtimes.session_pool import NATIVE

# Programs that only some commands need: what for, and Debian's package.
_PROGRAMS = {
    "javac": ("make apk: compiles (17 or newer)", "openjdk-17-jdk-headless"),
    "mvn": ("make apk: fetches Android's interfaces", "maven"),
    "cmake": ("make cpp: builds the C++ program (docs/cpp.md: what else it takes)", "cmake"),
    COMPILER: ("lite-arm on HOST=arm, with PADDLE_LITE_ARM: compiles", "g++-aarch64-linux-gnu"),
    "npm": ("make apk: fetches Android's tools; DATA=cifar10", "npm"),
}


def main() -> int:
    parser = Parser(prog="python deploy/doctor.py", description=__doc__)
    add_host_arguments(parser)
    options = parser.parse_args()
    if options.host != LOCAL.name:
        return _another_host(options)
    rows = [row for environment in ENVIRONMENTS.values() for row in _tools(environment)]
    rows += [_arm(), _paddle_lite(), _nvidia(), _adb(), *(_program(name) for name in _PROGRAMS)]
    table("Tools", ["tool", "version", "what it is for", "state"], rows)
    print()
    table("Targets", ["target", "precision", "hosts", "runs here", "why not"], _targets())
    print()
    table("Machine", ["", ""], _machine())
    problems = [one.problem() for one in ENVIRONMENTS.values() if one.required]
    problem = next(filter(None, problems), None)
    end_with(f"something that is required is missing; next: {problem}")
    print(f"\nNext: {problem or _next()}")
    return Exit.BROKEN if problem else Exit.OK


def _another_host(options: Namespace) -> Exit:
    """Show what another host takes, and which targets run there."""
    checks, targets = [], []
    try:
        host = named_host(options)
        checks = host.checks()
        if not any(one.problem for one in checks):
            of_its_kind = [one for one in TARGETS.values() if host.kind in one.hosts]
            targets = [_target_there(target, host) for target in of_its_kind]
    except UserError as error:
        checks.append(Check("reached", "-", str(error)))
    missing = [one.problem for one in checks if one.problem]
    rows = [
        [one.what, one.found, _missing(one.problem) if one.problem else _ok()] for one in checks
    ]
    table(options.host, ["what", "found", "state"], [*rows, *targets])
    how = f"make validate MODEL=… TARGET=… HOST={options.host} (all that is required is there)"
    print(f"\nNext: {missing[0] if missing else how}")
    return Exit.BROKEN if missing else Exit.OK


def _target_there(target: Target, host: Host) -> list[str]:
    try:
        problem = target.host_problem(host)
    except UserError as error:  # a library that was given, and is none
        problem = str(error)
    state = colored(f"no: {problem}", "yellow") if problem else _ok()
    return [f"target {target.name}", ", ".join(target.precisions), state]


def _next() -> str:
    """What to type where all that is required is here."""
    have = next((name for name, spec in MODELS.items() if available(spec)), None)
    if have is None:
        return "make demo (all that is required is here, but no weights yet)"
    return f"make validate MODEL={have} TARGET=all DATA=/your/photos (all that is required is here)"


def _tools(environment: Environment) -> list[list[str]]:
    """The environment's tools with what each is for, and which targets want it."""
    problem = environment.problem()
    wanting: dict[str, list[str]] = {}
    for target in TARGETS.values():
        for tool in target.tools:
            if tool.environment is environment:
                wanting.setdefault(tool.package, []).append(target.name)
    return [
        _tool(environment, tool, wanting.get(tool, ()), problem)
        for tool in dict.fromkeys((*environment.tools, *wanting))
    ]


def _tool(
    environment: Environment, tool: str, targets: Sequence[str], problem: str | None
) -> list[str]:
    purpose = environment.tools.get(tool, "")
    if targets:
        purpose = f"{purpose}{'; ' * bool(purpose)}for {', '.join(targets)}"
    version = environment.version(tool)
    if not problem and not version:
        problem = f"{environment.folder} lacks it; run: {environment.setup}"
    state = _missing(problem) if problem else _ok(str(environment.folder))
    return [tool, version or "-", purpose, state]


def _targets() -> list[list[str]]:
    rows = []
    for target in TARGETS.values():
        for precision in target.precisions:
            session_spec = target.session_spec(precision)
            color = "green" if session_spec.execution == NATIVE else "yellow"
            rows.append(
                [
                    target.name,
                    precision,
                    ", ".join(target.hosts) or "-",
                    colored(session_spec.execution, color),
                    session_spec.reason,
                ]
            )
    return rows


def _machine() -> list[list[str]]:
    have = [name for name, spec in MODELS.items() if available(spec)]
    return [
        ["CPU", f"{machine.cpu()}, {machine.threads()} threads"],
        ["vector extensions", ", ".join(machine.isa()) or "none of those that matter"],
        ["weights found for", ", ".join(have) or "none (see README: your own weights)"],
        ["build folder", str(build_root())],
        ["cache", str(cache_root())],
        ["decoded photos there", _crops()],
    ]


def _crops() -> str:
    """How much of the cache's limit is taken."""
    taken = sum(crop_bytes().values()) / 1e9
    return f"{taken:.1f} of at most {cache_limit() / 1e9:g} GB ({CACHE_GB}; make clean-cache)"


def _arm() -> list[str]:
    runs = [target.name for target in TARGETS.values() if arm.Arm.name in target.hosts]
    purpose = f"HOST={arm.Arm.name}: executes ARM code, for {', '.join(runs)}"
    version = None if arm.qemu_problem() else arm.qemu_version()
    problem = arm.Arm().problem()
    return [arm.QEMU, version or "-", purpose, _missing(problem) if problem else _ok(".arm")]


def _paddle_lite() -> list[str]:
    """Paddle Lite's library for ARM; the official one is not fetched to be shown."""
    purpose, named = f"lite-arm on HOST={arm.Arm.name}", library.given()
    row = [library.VARIABLE, "-", purpose]
    if not named:
        return [*row, _missing(f"give Paddle Lite's library: {library.ASK}")]
    try:
        if named != library.OFFICIAL:
            row[1] = library.find_library(named).system
    except UserError as error:
        return [*row, _missing(str(error))]
    return [*row, _ok(str(named))]


def _nvidia() -> list[str]:
    purpose = "targets on NVIDIA GPUs"
    found, reason = nvidia.find()
    if not found:
        return ["NVIDIA GPU", "-", purpose, _missing(reason)]
    named = [f"{gpu.name} ({gpu.architecture}), driver {gpu.driver}" for gpu in found]
    return ["NVIDIA GPU", "; ".join(named), purpose, _ok()]


def _adb() -> list[str]:
    purpose = "ARM phones"
    if not shutil.which("adb"):
        return ["adb", "-", purpose, _missing("install it (Debian: apt-get install adb)")]
    found = _ask(["adb", "devices"]) or []
    devices = [line.split()[0] for line in found[1:] if line.endswith("device")]
    if not devices:
        return ["adb", "-", purpose, _missing("no device: connect one with USB debugging on")]
    return ["adb", ", ".join(devices), purpose, _ok()]


def _program(name: str) -> list[str]:
    purpose, package = _PROGRAMS[name]
    said = _ask([name, "--version"])
    version = re.search(r"(?<![\w\[])\d+(\.\d+)*", "".join(said or []))  # mvn colours its own
    if not version:
        return [name, "-", purpose, _missing(f"install it (Debian: apt-get install {package})")]
    return [name, version[0], purpose, _ok()]


def _ask(command: list[str]) -> list[str] | None:
    """The lines a program prints; None where it is absent, fails or hangs."""
    try:
        return process.run(command, what="asking", limit=20).stdout.strip().splitlines()
    except StepError:
        return None


def _ok(where: str = "") -> str:
    return colored(f"ok ({where})" if where else "ok", "green")


def _missing(what: str) -> str:
    return colored(f"missing: {what}", "yellow")


if __name__ == "__main__":
    run(main)
