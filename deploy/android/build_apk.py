"""The app as one file: compiled, packed with engines and packages, signed, verified."""

import concurrent.futures
import json
import tempfile
from pathlib import Path

from common.console import say
from common.paths import build_root
from convert.artifact import Artifact
from deploy.android import compile as compiling
from deploy.android.archive import Entry, read_archive, write_archive
from deploy.android.engines import EngineLibrary
from deploy.android.project import read_project
from deploy.android.sign import sign
from deploy.android.tools import find_tools

_NAME = "paddle-portage-demo.apk"
_ENGINES = "assets/engines.json"


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
