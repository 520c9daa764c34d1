"""What is explained: the file that a target's session opens, or a user's own in its place."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from common import files
from common.errors import UserError
from common.temporary import temporary_folder
from convert import step_check
from convert.artifact import Artifact
from convert.to_onnx import SESSION as ONNX
from deploy.layers.inside import BLIND, INSIDE
from deploy.targets.base import Options, Target
from runtimes.hosts.local import LOCAL
from runtimes.session_pool import NONE, SIMULATED, SessionSpec


@dataclass(frozen=True)
class Subject:
    """A target's precision, and the folder that its session opens.

    `files` are by name, with their sha256; `own_file` is the path of the user's in their place.
    `key` is that of the artifact, None where they are of none.
    """

    target: Target
    precision: str
    session_spec: SessionSpec
    folder: Path
    files: Mapping[str, str]
    key: str | None
    own_file: str | None = None


@contextlib.contextmanager
def subject(
    graph: Artifact,
    target: Target,
    precision: str,
    built: Artifact,
    session_spec: SessionSpec,
    options: Options,
    own_file: Path | None = None,
) -> Iterator[Subject]:
    """The subject of a cell whose file was built of a graph with these options."""
    if session_spec.execution == SIMULATED:
        built = target.simulated_artifact(built, graph, precision, options)
    if own_file is None:
        opened = {name: one for name, one in built.digests().items() if name != step_check.FILE}
        yield Subject(target, precision, session_spec, built.folder, opened, built.key)
        return
    with temporary_folder() as folder:
        names = _lay_out(own_file, built, folder)
        digests = {name: files.sha256(folder / name) for name in names}
        yield Subject(target, precision, session_spec, folder, digests, None, str(own_file))


def problem(target: Target, precision: str, session_spec: SessionSpec) -> str | None:
    """Why nothing inside of what runs a cell can be seen; None where it can."""
    if session_spec.execution == NONE:
        return session_spec.reason
    if session_spec.session not in INSIDE:
        return f"what runs {target.name} in {precision} shows no tensor but the logits"
    if why := BLIND.get((session_spec.session, precision)):
        return why
    if session_spec.session == ONNX and session_spec.host is not LOCAL:
        return f"{session_spec.host.name} has no package that takes ONNX files apart"
    return None


def _lay_out(own_file: Path, built: Artifact, folder: Path) -> list[str]:
    """Put the user's file where the session looks for the built one, with what belongs to it: the
    files beside it of its name and another ending. Returns their names."""
    names = [name for name in built.manifest["files"] if name != step_check.FILE]
    opened = next((name for name in names if Path(name).suffix == own_file.suffix), None)
    if opened is None:
        endings = " or ".join(sorted({Path(name).suffix for name in names}))
        raise UserError(
            f"{own_file} cannot take the place of {', '.join(names)}: its name ends with "
            f"'{own_file.suffix}', not with {endings}"
        )
    laid = [name for name in names if Path(name).stem == Path(opened).stem]
    for name in laid:
        source = own_file.with_suffix(Path(name).suffix)
        if not source.is_file():
            raise UserError(f"there is no {source}, which {own_file.name} needs beside it")
        shutil.copyfile(source, folder / name)
    return laid
