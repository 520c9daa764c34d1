"""What a node of the cluster does, in a process of Ray's there: standard library only.

These functions travel by value, since a node may have the toolkit in another folder: where, says
`PORTAGE_ROOT` in the environment that Ray was started in there; else it is the same as here.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

_ROOMS = (
    *("calib", "common", "convert", "data", "deploy", "models", "requirements"),
    *("runtimes", "training"),
)
# Become the command that the arguments give, which is told (1 is PR_SET_PDEATHSIG) when this
# process' parent dies: a worker that Ray kills leaves nothing running.
_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
# Digest → the folder on the driver, and the names of the files that belong to it.
Inputs = dict[str, tuple[str, list[str]]]
# Where artifacts lie below a build folder → the input, and the names of its files.
Build = dict[str, tuple[str, list[str]]]

_RECORD = "calibration.json"  # of an INT8 file, with the paths of its photos

# Among a command's variables: which job of which driver it is.
_JOB = "PORTAGE_JOB"
_KEPT_LINES = 40  # of what a command printed on standard error


def toolkit_digest(root: Path) -> str:
    """The SHA-256 of everything that decides what a command does: the rooms' files."""
    paths = [
        path
        for room in _ROOMS
        for path in (root / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return _digest_of(root, paths)


def digest_of(folder: Path, names: list[str]) -> str | None:
    """The SHA-256 of some of a folder's files and of their names; None where one is not there."""
    try:
        return _digest_of(folder, [folder / name for name in names])
    except OSError:
        return None


def _digest_of(root: Path, paths: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def packed(folder: str, names: list[str]) -> bytes:
    """Some of a folder's files as an archive, in which they lie in a folder of the same name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:
        for name in names:
            archive.add(Path(folder) / name, f"{Path(folder).name}/{name}")
    return stream.getvalue()


def describe(root: str, wanted: Inputs) -> dict[str, Any]:
    """What this node is: its name, its toolkit's digest or what is wrong with it, and where each of
    the `wanted` inputs is (digest → the folder here), None where it is not. An input is a folder,
    where it lies on the driver, and the names of its files."""
    here = Path(os.environ.get("PORTAGE_ROOT", root))
    found: dict[str, Any] = {"name": socket.gethostname(), "root": str(here), "inputs": {}}
    if not (here / ".venv" / "bin" / "python").exists():
        return found | {
            "problem": f"no toolkit at {here}: set it up there (make setup), or start Ray with "
            "PORTAGE_ROOT=folder"
        }
    found["toolkit"] = toolkit_digest(here)
    for digest, (folder, names) in wanted.items():
        places = (Path(folder), received(digest) / Path(folder).name)
        there = [str(one) for one in places if digest_of(one, names) == digest]
        found["inputs"][digest] = there[0] if there else None
    return found


def received(digest: str) -> Path:
    """The folder in which an input of this digest lies that came from elsewhere."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "paddle-portage" / "inputs" / digest


def receive(digest: str, name: str, names: list[str], archive: bytes) -> str:
    """Put an input that came from the driver into this node's cache; the folder here."""
    folder = received(digest)
    path = folder / name
    if digest_of(path, names) == digest:
        return str(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{digest[:12]}."))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            opened.extractall(scratch, filter="data")
        if digest_of(scratch / name, names) != digest:
            raise OSError(f"{name} did not arrive as it was sent; run it again")
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return str(path)


def run_command(
    root: str, words: list[str], settings: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run one of the toolkit's commands in its own environment, with these variables, as a user
    would; it ends when this process does."""
    here = Path(os.environ.get("PORTAGE_ROOT", root))
    started = time.monotonic()
    child = subprocess.Popen(
        [here / ".venv" / "bin" / "python", "-c", _TIED, *words],
        cwd=here,
        env=os.environ | (settings or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = child.communicate()
    except BaseException:  # the task is cancelled
        child.terminate()
        child.wait()
        raise
    return {
        "status": child.returncode,
        "out": out,
        "err": "\n".join(err.splitlines()[-_KEPT_LINES:]),
        "seconds": time.monotonic() - started,
    }


def lay_out(scratch: Path, build: Build, inputs: dict[str, str], sources: dict[str, str]) -> None:
    """Make a build folder that has these artifacts. `inputs` says where they lie on this node, and
    `sources` where on the driver: photos that calibrated are those of this node."""
    moved = [(f"{sources[digest]}/", f"{here}/") for digest, here in inputs.items()]
    for place, (digest, names) in build.items():
        for name in names:
            path, source = scratch / place / name, Path(inputs[digest]) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == _RECORD:
                path.write_text(_with_own_photos(json.loads(source.read_text()), moved))
            else:
                path.symlink_to(source)


def _with_own_photos(record: dict[str, Any], moved: list[tuple[str, str]]) -> str:
    for photo in record["photos"]["photos"]:
        there = photo["path"]
        found = [here + there.removeprefix(of) for of, here in moved if there.startswith(of)]
        photo["path"] = next((path for path in found if Path(path).exists()), there)
    return json.dumps(record)


def run_job(
    root: str,
    words: list[str],
    build: Build,
    places: dict[str, dict[str, str]],
    sources: dict[str, str],
    job: str,
) -> dict[str, Any]:
    """A command on whichever node Ray chose; `places` says where each node has its inputs: among
    the words an input's digest, and a digest with a file's name behind a slash, stand for it.

    With artifacts to start from it works in a build folder of its own, which is gone afterwards.
    `job` names it for `jobs_here`.
    """
    import ray

    here = ray.get_runtime_context().get_node_id()
    inputs, found = places[here], []
    for word in words:
        digest, slash, name = word.partition("/")
        found.append(f"{inputs[digest]}{slash}{name}" if digest in inputs else word)
    if not build:
        return run_command(root, found, {_JOB: job}) | {"node": here}
    with tempfile.TemporaryDirectory(prefix="paddle-portage-job-") as scratch:
        lay_out(Path(scratch), build, inputs, sources)
        return run_command(root, found, {_JOB: job, "BUILD_DIR": scratch}) | {"node": here}


def jobs_here() -> list[str]:
    """The jobs whose commands run on this node."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            variables = path.read_bytes().decode(errors="replace").split("\0")
            found |= {one.removeprefix(f"{_JOB}=") for one in variables if one.startswith(_JOB)}
    return sorted(found)
