"""The app as one file: compiled, packed with engines and packages, signed, verified."""

import concurrent.futures
import json
import sys
import tempfile
from pathlib import Path

from common import process
from common.cli import Exit
from common.console import say, shown
from common.errors import UserError
from common.paths import ROOT, build_root
from convert.artifact import Artifact, load
from deploy.android import compile as compiling
from deploy.android.archive import Entry, read_archive, write_archive
from deploy.android.engines import EngineLibrary
from deploy.android.project import read_project
from deploy.android.sign import sign
from deploy.android.tools import find_tools
from deploy.packages.package import package_folders, packaged
from deploy.targets import app_targets

_NAME = "paddle-portage-demo.apk"
_ENGINES = "assets/engines.json"
_PACKAGE_LIMIT = 3600.0  # seconds, for the whole chain of some models


def build_apk(packages: list[Artifact], engines: list[EngineLibrary]) -> Path:
    """Compile, pack, sign and verify `build/apk/…apk`; the same input gives the same bytes."""
    project, tools = read_project(), find_tools()
    target = build_root() / "apk" / _NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=target.parent) as scratch:
        work = Path(scratch)
        jars = _engine_jars(engines, work)
        linked = compiling.link(project, tools, work)
        classes = compiling.compile_java(project, tools, work, jars)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            check = pool.submit(compiling.check_api, project, tools, classes)
            dex = compiling.dex(project, tools, classes, jars, work)
            check.result()
        entries = [*read_archive(linked), *_dex_entries(dex), *_engine_entries(engines)]
        entries += [entry for package in packages for entry in _package_entries(package)]
        unsigned, signed = work / "unsigned.apk", work / "signed.apk"
        write_archive(unsigned, entries)
        schemes = sign(project, tools, unsigned, signed)
        say(f"  signed with the debug key ({', '.join(schemes)}), and verified")
        signed.replace(target)
    return target


def find_packages(models: list[str], precisions: list[str] | None) -> list[Artifact]:
    """The packages that go into the app; those of named models are made where they are missing."""
    if models:
        wanted = [
            (model, name, precision)
            for model in models
            for name, target in app_targets().items()
            for precision in precisions or ["fp32"]
            if precision in target.precisions
        ]
        missing = [cell for cell in wanted if packaged(*cell) is None]
        if missing:
            _make_packages(missing)
        made = [package for cell in wanted if (package := packaged(*cell))]
        if not made:
            raise UserError("none of the packages can be made here, for the reasons above")
        return made
    chosen = package_folders(precisions)
    if not chosen:
        say("  nothing is packaged yet, so no model is inside: --model NAME packages one")
    return [_package(path) for path in chosen]


def _package(folder: Path) -> Artifact:
    found = load(folder)
    if found is None:
        raise UserError(f"{shown(folder)} is not a whole package; remove it, and run make package")
    return found


def _make_packages(cells: list[tuple[str, str, str]]) -> None:
    """Run `make package` in a child process, which shows its own progress and errors."""
    words = [sys.executable, ROOT / "deploy" / "package.py"]
    for column, flag in enumerate(("--model", "--target", "--precision")):
        for value in dict.fromkeys(cell[column] for cell in cells):
            words += [flag, value]
    done = process.run(
        words, what="packaging", limit=_PACKAGE_LIMIT, statuses=process.ANY_STATUS, shown=True
    )
    if done.status not in (Exit.OK, Exit.UNDECIDED):  # undecided: some cannot be made here
        sys.exit(done.status)  # it said why


def _package_entries(package: Artifact) -> list[Entry]:
    name = package.facts["content"]
    folder = package.file(name)
    return [
        Entry(f"assets/packages/{name}/{path.relative_to(folder).as_posix()}", path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _engine_jars(engines: list[EngineLibrary], work: Path) -> list[Path]:
    jars = []
    for number, engine in enumerate(engines):
        jar = work / f"engine{number}.jar"
        jar.write_bytes(engine.jar)
        jars.append(jar)
    return jars


def _engine_entries(engines: list[EngineLibrary]) -> list[Entry]:
    """The native libraries, and what the app says about them."""
    about = {engine.name: engine.to_json() for engine in engines}
    inside = {_ENGINES: (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()}
    for engine in engines:
        for (abi, name), data in engine.native.items():
            inside.setdefault(f"lib/{abi}/{name}", data)  # both may bring libc++_shared.so
    return [Entry(name, data) for name, data in inside.items()]


def _dex_entries(folder: Path) -> list[Entry]:
    return [Entry(path.name, path) for path in sorted(folder.glob("*.dex"))]
