"""What a built file is: a folder with the files, and a manifest that says what made them.

An artifact lives under `build/<name of the build>/<kind>/<precision>/`. Its key is a hash of
everything that went in: the inputs' content, the step's parameters, the tools' versions and the
project's own code. It is never computed from what came out, since Paddle Lite's output differs
from run to run.
"""

import contextlib
import dataclasses
import datetime
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from common import files
from common.console import report, shown
from common.errors import StepError, UserError
from common.hashes import cached_sha256, is_digest
from common.paths import build_root
from common.sources import Code, code_of
from data.preprocess import Preprocess
from models.registry import find_model

MANIFEST = "manifest.json"

# Foreign tools fail in their own ways on a full disk; less room than this (bytes) explains it.
_FULL = 1 << 20


@dataclasses.dataclass(frozen=True)
class Build:
    """Whose files: a model's with one checkpoint, in the folder of this name below `build/`."""

    model: str
    name: str


@dataclasses.dataclass(frozen=True)
class Step:
    """One run of one converter, before it happens.

    `inputs` maps what goes in to the key or hash of its content, `parameters` are JSON values,
    `tools` maps packages to versions, `code` are the function that makes the step and what it calls
    by a name of its own making (see `common.sources`).
    """

    name: str
    build: Build
    kind: str
    precision: str
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]
    tools: Mapping[str, str | None]
    code: tuple[Code, ...]

    @property
    def folder(self) -> Path:
        return build_root() / self.build.name / self.kind / self.precision

    @property
    def key(self) -> str:
        """The content key: equal keys mean interchangeable artifacts, in whichever build."""
        facts = dataclasses.asdict(self) | {"build": self.build.model}
        return files.sha256_of(facts | {"code": code_of(*self.code)})


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A finished artifact. `manifest` is the content of its `manifest.json`."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def model(self) -> str:
        return self.manifest["model"]

    @property
    def name(self) -> str:
        """The name of its build; older manifests have none, when it was the model's."""
        return self.manifest.get("build", self.model)

    @property
    def build(self) -> Build:
        return Build(self.model, self.name)

    @property
    def key(self) -> str:
        return self.manifest["key"]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the step found out about its result (classes, weights, node counts, …)."""
        return self.manifest["facts"]

    @property
    def inherited_facts(self) -> dict[str, Any]:
        """The facts that stay true of whatever is made from this."""
        known = {name: self.facts[name] for name in ("weights", "class_num", "input_shape")}
        return known | {"preprocess": self.preprocess.to_json()}

    @property
    def preprocess(self) -> Preprocess:
        """How photos are prepared for it; older manifests do not say, when it was as published."""
        recorded = self.facts.get("preprocess")
        return Preprocess.from_json(recorded) if recorded else find_model(self.model).preprocess

    def file(self, name: str) -> Path:
        return self.folder / name

    def digests(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """The SHA-256 of its files, or of some of them, by name."""
        listed = self.manifest["files"]
        return {name: listed[name]["sha256"] for name in (listed if names is None else names)}


def load(folder: Path) -> Artifact | None:
    """The artifact in a folder, if it is whole.

    Whole means that every file has the recorded size and content. A file's content is hashed
    again only when its size, times or inode have changed since it was last found right, as version
    control systems do it; a bit that the disk flipped is not noticed here.
    """
    manifest = files.read_json(folder / MANIFEST)
    if not _is_manifest(manifest):
        return None
    for name, fact in manifest["files"].items():
        try:
            stamp = files.stamp(folder / name)
        except OSError:  # it is not there; or no file could have such a name
            return None
        if stamp[0] != fact["bytes"]:
            return None
        if stamp != fact["stamp"] and cached_sha256(folder / name) != fact["sha256"]:
            return None
    manifest["facts"] = _Facts(folder, manifest["facts"])
    return Artifact(folder, manifest)


class _Facts(dict[str, Any]):
    """A manifest's facts; UserError for one that is asked for and is not there."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]):
        super().__init__(facts)
        self._folder = folder

    def __missing__(self, name: str) -> Any:
        raise UserError(
            f"{shown(self._folder / MANIFEST)} does not say its {name}, so it is damaged; remove "
            f"{shown(self._folder)}, and it is made again"
        )


def _is_manifest(value: Any) -> bool:
    """Whether a JSON value has what is asked of every manifest, and names files of its folder only:
    one that was damaged is as good as none."""
    if not isinstance(value, dict):
        return False
    kinds: dict[type, tuple[str, ...]] = {
        str: ("model", "key", "build", "step", "kind", "precision"),
        dict: ("files", "facts", "inputs", "parameters", "tools"),
    }
    return (
        value.keys() >= {"model", "key", "facts", "files"}
        and all(
            isinstance(value[name], kind)
            for kind, names in kinds.items()
            for name in names
            if name in value
        )
        and all(map(_is_file, value["files"].items()))
    )


def _is_file(named: tuple[str, Any]) -> bool:
    name, fact = named
    inside = name.isprintable() and PurePosixPath(name).parts and not name.startswith("/")
    return bool(
        inside
        and ".." not in PurePosixPath(name).parts
        and isinstance(fact, dict)
        and fact.keys() >= {"bytes", "sha256", "stamp"}
        and is_digest(fact["sha256"])
    )


def produce(
    step: Step, make: Callable[[Path], Mapping[str, Any]], *, shows: str, note: str = ""
) -> Artifact:
    """The artifact of a step: the one that is there if its key matches, else a new one.

    `make` builds the files in the (temporary) folder it is given, checks them, and returns facts
    for the manifest. `shows` is the file whose size the progress line names; StepError where it is
    missing or empty. `note` is what the line says of it beside. The folder takes its place by
    renaming, so that a killed run leaves the old artifact, or the new one. A second process that
    wants the same artifact waits.
    """
    found = load(step.folder)
    if found and found.key == step.key:
        return found
    with _exclusive(step.folder):
        found = load(step.folder)
        if found and found.key == step.key:
            return found
        started = time.monotonic()
        work = step.folder.with_name(f".{step.folder.name}.new")
        work.mkdir(parents=True)
        try:
            facts = make(work)
            _require(step, work / shows)
            seconds = time.monotonic() - started
            manifest = _manifest(step, work, dict(facts), seconds)
            files.write_json(work / MANIFEST, manifest)
            _put_in_place(work, step.folder)
        except BaseException as error:
            lack = files.lack_of_room(work, _FULL) if isinstance(error, StepError) else None
            shutil.rmtree(work, ignore_errors=True)
            if lack:
                raise lack from error
            raise
        report(step.name, step.build.name, step.precision, seconds, step.folder / shows, note)
        return Artifact(step.folder, manifest)


def place(artifact: Artifact, folder: Path) -> Artifact:
    """Copy an artifact into another folder, in place of what is there."""
    with _exclusive(folder):
        work = folder.with_name(f".{folder.name}.new")
        try:
            manifest = {**artifact.manifest, "files": {}}
            for name, fact in artifact.manifest["files"].items():
                path = work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(artifact.file(name), path)
                manifest["files"][name] = {**fact, "stamp": files.stamp(path)}
            files.write_json(work / MANIFEST, manifest)
            _put_in_place(work, folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return Artifact(folder, manifest)


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, with what a killed run left behind put right."""
    try:
        with files.locked(folder.with_name(f".{folder.name}.lock")):
            old = _aside(folder)
            if old.exists() and not folder.exists():
                old.rename(folder)
            for leftover in (old, folder.with_name(f".{folder.name}.new")):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        failed = Path(os.fsdecode(error.filename)) if error.filename else folder
        root = build_root()
        if not (failed.is_relative_to(root) or root.is_relative_to(failed)):
            raise  # of another place, as a tool's own in the home folder
        raise UserError(
            f"cannot write {error.filename or folder}: {error.strerror}; make the build folder "
            "writable, or choose another: BUILD_DIR=/some/folder"
        ) from error


def _require(step: Step, path: Path) -> None:
    """StepError unless a step has made this file, with something in it."""
    if path.is_file() and path.stat().st_size:
        return
    made = f"an empty {path.name}" if path.exists() else f"no {path.name}"
    raise StepError(
        f"{step.name} {step.precision} of {step.build.name} made {made}; what an earlier run put "
        f"into {step.folder} stays"
    )


def _put_in_place(work: Path, folder: Path) -> None:
    old = _aside(folder)
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _aside(folder: Path) -> Path:
    """Where the old artifact waits for the moment between the two renames."""
    return folder.with_name(f".{folder.name}.old")


def _manifest(step: Step, folder: Path, facts: dict, seconds: float) -> dict:
    return {
        "schema": 1,
        "step": step.name,
        "model": step.build.model,
        "build": step.build.name,
        "kind": step.kind,
        "precision": step.precision,
        "key": step.key,
        "inputs": dict(step.inputs),
        "parameters": dict(step.parameters),
        "tools": dict(step.tools),
        "facts": facts,
        "command": shlex.join(sys.argv),
        "seconds": round(seconds, 2),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "files": {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": files.sha256(path),
                "stamp": files.stamp(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
