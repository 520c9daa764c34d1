"""The app as one file: compiled, packed with engines and packages, signed, verified."""

import concurrent.futures
import json
from collections.abc import Mapping
from pathlib import Path

from common.console import say
from common.paths import build_root
from common.temporary import temporary_folder
from convert.artifact import Artifact
from deploy.android import compile as compiling
from deploy.android.archive import Entry, read_archive, write_archive
from deploy.android.engines import EngineLibrary
from deploy.android.project import read_project
from deploy.android.sign import sign
from deploy.android.tools import find_tools
from deploy.packages.model_card import weights_licence

_NAME = "paddle-portage-demo.apk"
_INSIDE = "assets/inside.json"


def build_apk(
    packages: list[Artifact], engines: list[EngineLibrary], keys: Mapping[str, bytes]
) -> Path:
    """Compile, pack, sign and verify `build/apk/…apk`; the same input gives the same bytes.

    `keys` are the PEM files, by the keys' names, that packages must be signed with, if any are.
    """
    project, tools = read_project(), find_tools()
    target = build_root() / "apk" / _NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target.parent) as work:
        jars = _engine_jars(engines, work)
        linked = compiling.link(project, tools, work)
        classes = compiling.compile_java(project, tools, work, jars)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            check = pool.submit(compiling.check_api, project, tools, classes)
            dex = compiling.dex(project, tools, classes, jars, work)
            check.result()
        entries = [*read_archive(linked), *_dex_entries(dex), *_library_entries(engines)]
        entries.append(_inside(packages, engines))
        entries += [Entry(f"assets/keys/{name}.pem", pem) for name, pem in keys.items()]
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


def _library_entries(engines: list[EngineLibrary]) -> list[Entry]:
    """The native libraries. Several engines may bring libc++_shared.so: the first one's counts."""
    found: dict[str, bytes] = {}
    for engine in engines:
        for (abi, name), data in engine.native.items():
            found.setdefault(f"lib/{abi}/{name}", data)
    return [Entry(name, data) for name, data in found.items()]


def _inside(packages: list[Artifact], engines: list[EngineLibrary]) -> Entry:
    """What the app says about what is inside of it: where it is from, and under which licence."""
    said = {
        "engines": {engine.name: engine.to_json() for engine in engines},
        "models": {package.facts["content"]: _licence(package) for package in packages},
    }
    return Entry(_INSIDE, (json.dumps(said, indent=2, sort_keys=True) + "\n").encode())


def _licence(package: Artifact) -> str:
    return weights_licence(package.facts["weights"])


def _dex_entries(folder: Path) -> list[Entry]:
    return [Entry(path.name, path) for path in sorted(folder.glob("*.dex"))]
