"""Folders for production servers: for a full Triton, OpenVINO's Model Server, and KServe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import files
from common.console import say, shown
from common.errors import UserError
from common.paths import cache_root
from common.version import VERSION
from deploy.serving.export_kserve import lay_out_kserve
from deploy.serving.export_ovms import lay_out_ovms
from deploy.serving.export_triton import lay_out_triton
from deploy.serving.models import Model
from deploy.targets import TARGETS
from deploy.targets.base import Target

MANIFEST = "manifest.json"
README = "README.md"
_README = """To start a server of this folder, in it:

    {start}

Each model takes `x`, float32 [n, 3, S, S], photos prepared as its `preprocess.json` says (short
side, centre crop, then (value / 255 - mean) / std for each of RGB), and answers `logits`, float32
[n, classes]. `manifest.json` says what was written, from which weights, and the sha256 of every
file.
"""
_WRITER = "paddle-portage: make serve EXPORT="
_NAMED = 3  # files in a sentence


@dataclass(frozen=True)
class Format:
    """A kind of folder. `lay_out` fills one with models, and a place that they will be fetched
    from, and returns how to start a server of it; `target` is the one that a bare name means,
    `problem` why another cannot be (None: it can)."""

    lay_out: Callable[[Path, Sequence[Model], str | None], str]
    target: str
    problem: Callable[[Target, str], str | None]


def _triton_problem(target: Target, precision: str) -> str | None:
    serving = target.serving(precision)
    if serving and serving.backend:
        return None
    served = [one.name for one in TARGETS.values() if (it := one.serving("fp32")) and it.backend]
    return f"Triton has no backend for {target.name}, only for {', '.join(served)}"


def _ovms_problem(target: Target, precision: str) -> str | None:
    if target.name == "openvino":
        return None
    return (
        "OpenVINO's Model Server would compute the file by other kernels than it was judged with: "
        "take TARGET=openvino"
    )


FORMATS = {
    "triton": Format(lay_out_triton, "onnx", _triton_problem),
    "ovms": Format(lay_out_ovms, "openvino", _ovms_problem),
    "kserve": Format(lay_out_kserve, "onnx", _triton_problem),
}


def check_folder(folder: Path) -> None:
    """Raise UserError where nothing can be, or something is that is no export as it was written."""
    files.require_place(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    about = files.read_json(folder / MANIFEST)
    if not (isinstance(about, dict) and about.get("written_by") == _WRITER):
        raise UserError(f"{shown(folder)} is there, and no export; name another folder: EXPORT=…")
    now = _digests(folder)
    then = about["files"]
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    if changed:
        more = f" and {len(changed) - _NAMED} more" * (len(changed) > _NAMED)
        raise UserError(
            f"{shown(folder)} was changed since it was written ({', '.join(changed[:_NAMED])}"
            f"{more}); keep it, and name another folder: EXPORT=…"
        )


def export(folder: Path, name: str, models: Sequence[Model], storage: str | None) -> str:
    """Write a folder of a format, whole or not at all, in place of an earlier export; returns how
    to start a server of it."""
    lock = cache_root() / "locks" / f"export-{files.sha256_of(str(folder))}.lock"
    with files.locked(lock):
        check_folder(folder)
        with files.atomic_folder(folder) as scratch:
            start = FORMATS[name].lay_out(scratch, models, storage)
            (scratch / README).write_text(_README.format(start=start))
            about = {
                "written_by": _WRITER,
                "toolkit": VERSION,
                "format": name,
                "models": {model.name: model.about() for model in models},
                "files": _digests(scratch),
            }
            files.write_json(scratch / MANIFEST, about)
    for loss in dict.fromkeys(model.serving.loses for model in models if name != "ovms"):
        if loss:
            say(f"  warning: {loss}")
    return start


def _digests(folder: Path) -> dict[str, str]:
    """The sha256 of all files but the manifest, by their paths."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: files.sha256(path) for name, path in names.items() if name != MANIFEST}
