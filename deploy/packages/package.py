"""What an app needs to run a model and to prove that it computes the same: one folder, one zip.

Its form is described in docs/package.md.
"""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import files
from common.paths import build_root
from convert.artifact import Artifact, Step, load, produce
from convert.builds import exported, split_of
from deploy.packages import guide
from deploy.packages.labels import Labels
from deploy.packages.materials import BILL, bill_of_materials
from deploy.packages.model_card import model_card, tells
from deploy.packages.signature import sign, signer_of
from deploy.request.values import Cell
from deploy.targets import packaged_targets
from deploy.targets.base import Engine, Target
from deploy.verdict.gates import gate
from deploy.verdict.result import Result, kept
from models.registry import ModelSpec

if TYPE_CHECKING:
    from data.images import ImageSet
    from deploy.verdict.validator import Judge


SCHEMA = 2
MANIFEST = "manifest.json"
CROPS = "golden/crops.bin"
LOGITS = "golden/logits.bin"
GOLDEN = "golden/golden.json"
CARD = "MODEL_CARD.md"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_KIND = "package"


def package(
    spec: ModelSpec,
    graph: Artifact,
    cell: Cell,
    built: Artifact,
    labels: Labels,
    images: "ImageSet",
    skip_bad: bool,
    key: Path | None = None,
) -> Artifact:
    """The package of a target's file; `content_folder` and `zip_path` say where its parts are.

    `images` become the golden photos. Their logits are the reference's: Paddle Inference with
    oneDNN, of the inference graph. With a private `key` it is signed.
    """
    from deploy.verdict.validator import Judge  # here: --help needs no numpy

    target, precision = cell
    judge = Judge(spec, graph, images, skip_bad)
    content = _content(spec, graph, cell, built, labels, judge, images)
    step = Step(
        name="package",
        build=graph.build,
        kind=_KIND,
        precision=f"{target.name}-{precision}",
        # The content and not the key of its artifact: Paddle Lite's differs from run to run.
        inputs={**target.digests(built), MANIFEST: _sha256(content[MANIFEST])},
        # Signatures differ from one to the next, and each is as good: the key pair counts.
        parameters={"signer": signer_of(key)} if key else {},
        tools={},
        code=(package,),
    )
    name = f"{graph.name}-{step.precision}"

    def make(folder: Path) -> dict:
        for path, data in content.items():
            place = folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        for file in target.digests(built):
            shutil.copyfile(built.file(file), folder / name / file)
        if key:
            sign(folder / name, key)
        _write_zip(folder / name, folder / f"{name}.zip")
        facts = {"weights_sha256": graph.facts["weights_sha256"], "content": name}
        return {**graph.inherited_facts, **facts}

    return produce(step, make, shows=f"{name}.zip")


def _engine(target: Target) -> Engine:
    assert target.engine, f"{target.name} is not among those that are packaged"
    return target.engine


def target_of(made: Artifact) -> Target | None:
    """The target of a package; None where there is none of that name any more."""
    return packaged_targets().get(made.manifest["precision"].rpartition("-")[0])


def content_folder(made: Artifact) -> Path:
    """The folder that holds the package, and nothing else."""
    return made.file(made.facts["content"])


def zip_path(made: Artifact) -> Path:
    """The archive of the same."""
    return made.file(f"{made.facts['content']}.zip")


def packaged(name: str, target: str, precision: str) -> Artifact | None:
    """The package that was made earlier, if it is whole."""
    return load(build_root() / name / _KIND / f"{target}-{precision}")


def is_current(made: Artifact, *, certain: bool = False) -> bool:
    """Whether a package is of the checkpoint and of the file that its build has now, and of photos
    prepared as now.

    A file may be left of the checkpoint before. Where there is no such file the package counts; or,
    where that must be `certain`, it does not.
    """
    name = made.folder.parents[1].name
    graph = exported(name)
    if graph and made.facts.get("weights_sha256") != graph.facts["weights_sha256"]:
        return False
    if graph and made.preprocess != graph.preprocess:
        return False
    precision = made.manifest["precision"].rpartition("-")[2]
    target = target_of(made)
    present = target.present_digests(name, precision) if target else None
    if present:
        return present.items() <= made.manifest["inputs"].items()
    return not certain


def tells_all(made: Artifact) -> bool:
    """Whether a package's card tells all that is kept of its file by now."""
    folder = content_folder(made)
    digests = {name: one for name, one in made.manifest["inputs"].items() if name != MANIFEST}
    about: Any = files.read_json(folder / MANIFEST)
    own = [one for one in _results(about) if one.files == digests]
    return tells((folder / CARD).read_text(), own)


def package_folders(precisions: Sequence[str] | None, name: str = "*") -> list[Path]:
    """Where packages were made earlier, in these precisions (None: all), of a build or of all."""
    return [
        folder
        for folder in sorted(build_root().glob(f"{name}/{_KIND}/[!.]*-*"))
        if folder.is_dir() and (not precisions or folder.name.rpartition("-")[2] in precisions)
    ]


def _content(
    spec: ModelSpec,
    graph: Artifact,
    cell: Cell,
    built: Artifact,
    labels: Labels,
    judge: "Judge",
    images: "ImageSet",
) -> dict[str, bytes]:
    """Every file of the package but the model itself."""
    target, precision = cell
    engine = _engine(target)
    spec = dataclasses.replace(spec, preprocess=graph.preprocess)
    content = {
        "preprocess.json": _json(spec.preprocess.to_json()),
        "labels.txt": "".join(f"{name}\n" for name in labels.names).encode(),
        **_golden(judge, images),
    }
    about = {
        "schema": SCHEMA,
        "model": spec.name,
        "name": graph.name,
        "target": target.name,
        "precision": precision,
        "engine": engine.name,
        "engine_version": engine.version(built.file(engine.file)),
        **{name: graph.facts[name] for name in ("weights", "class_num", "input_shape")},
        "weights_sha256": graph.facts["weights_sha256"],
        **({"batch": built.facts["batch"]} if "batch" in built.facts else {}),
        "gate": gate(precision),
        "data": {
            "name": judge.crops.name,
            "images": len(judge.crops),
            "sha256": _sha256(content[CROPS]),
            **({"labelled": False} if judge.crops.labels is None else {}),
        },
        "tools": {**graph.manifest["tools"], **built.manifest["tools"]},
        "made": built.manifest["made"],
    }
    digests, results = target.digests(built), _results(about)
    card = model_card(
        spec, about, digests, labels.source, results, split_of(graph), in_app=engine.in_app
    )
    content[CARD] = card.encode()
    own = [one for one in results if one.files == digests]
    content[BILL] = _json(bill_of_materials(about, digests, own))
    if engine.guide:
        page = guide.guide_page(engine.guide, about, spec.preprocess, own)
        content[guide.FILE] = page.encode()
    recorded = built.manifest["files"]
    listed = {
        name: {"sha256": recorded[name]["sha256"], "bytes": recorded[name]["bytes"]}
        for name in digests
    }
    for name, data in content.items():
        listed[name] = {"sha256": _sha256(data), "bytes": len(data)}
    content[MANIFEST] = _json(about | {"files": dict(sorted(listed.items()))})
    return content


def _golden(judge: "Judge", images: "ImageSet") -> dict[str, bytes]:
    """The photos that the app checks itself with: pixels, the reference's logits, the truth.

    Where they have no labels, the reference's own decisions stand in their place, and `labelled`
    is false: every changed decision then counts as a loss, which is the most that it can be.
    """
    from data.images import printable

    crops, reference = judge.crops, judge.reference
    left_out = set(crops.skipped)
    facts = {
        "count": len(crops),
        "shape": list(crops.array.shape),
        "names": [printable(path.name) for path in images.paths if printable(path) not in left_out],
        "labelled": crops.labels is not None,
        "labels": (reference.argmax(1) if crops.labels is None else crops.labels).tolist(),
    }
    return {
        CROPS: crops.array.tobytes(),
        LOGITS: reference.astype("<f4").tobytes(),
        GOLDEN: _json(facts),
    }


def _results(about: Mapping[str, Any]) -> list[Result]:
    """The results that are kept of this target, precision and weights, here or from phones."""
    wanted = (about["target"], about["precision"], about["weights"])
    return [
        one for one in kept(about["name"]) if (one.target, one.precision, one.weights) == wanted
    ]


def _write_zip(folder: Path, path: Path) -> None:
    """Pack a folder so that equal files make an equal archive: sorted, one time, no compression."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
            entry.create_system = 3  # Unix, wherever this runs: it gives the mode its meaning
            entry.external_attr = 0o100644 << 16
            entry.file_size = file.stat().st_size
            with file.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
