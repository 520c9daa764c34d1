"""What a package is made of, as an ML bill of materials: CycloneDX 1.6, in JSON.

The model with its files and what was measured of them, the weights and the photos by their hashes,
and the tools that made it, with their versions and licences.
"""

import datetime
import importlib.metadata
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.files import sha256_of
from common.version import VERSION
from deploy.verdict.result import Result

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

BILL = "bom.cdx.json"
_SPACE = uuid.UUID("0d2b4d8e-6f5c-5f0e-9a53-6a4d2c1f7b90")  # of these bills' serial numbers
_SHORT = 12  # of a checkpoint's sha256, as elsewhere
_LONGEST_NAME = 60  # of a licence; some packages put its whole text there


def bill_of_materials(
    about: Mapping[str, Any], digests: Mapping[str, str], results: Sequence[Result]
) -> dict[str, Any]:
    """The bill of a package: CycloneDX' JSON.

    `about` is the package's manifest, `digests` has the sha256 of the model's files by their names,
    `results` are those of these very files. Equal arguments give an equal bill.
    """
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=about["name"],
        version=f"{about['target']}-{about['precision']}",
        bom_ref="model",
        components=[
            _hashed(ComponentType.FILE, name, one, bom_ref=f"file-{name}")
            for name, one in digests.items()
        ],
    )
    photos = dict(_photos(about, results))
    parts = [_weights(about), *photos.values()]
    bom = Bom(
        serial_number=uuid.uuid5(_SPACE, sha256_of([about, dict(digests)])),
        metadata=BomMetaData(
            component=model,
            timestamp=datetime.datetime.fromisoformat(about["made"]),
            tools=_tools(about["tools"]),
        ),
        components=parts,
    )
    bom.register_dependency(model, parts)
    bill = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library has no model card; its schema, which the tests hold the bill against, has.
    bill["metadata"]["component"]["modelCard"] = _model_card(about, list(photos), results)
    first = ("$schema", "bomFormat", "specVersion")
    return {name: bill[name] for name in first} | bill


def _hashed(kind: Any, name: str, sha256: str, **facts: Any) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component

    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]
    return Component(type=kind, name=name, hashes=hashes, **facts)


def _weights(about: Mapping[str, Any]) -> "Component":
    from cyclonedx.model.component import ComponentType

    from deploy.packages.model_card import weights_licence

    return _hashed(
        ComponentType.DATA,
        f"weights: {about['weights'][:_SHORT]}",
        about["weights_sha256"],
        bom_ref="weights",
        description=weights_licence(about["weights"]),
    )


def _photos(
    about: Mapping[str, Any], results: Sequence[Result]
) -> Iterator[tuple[str, "Component"]]:
    """The golden photos, and those that calibrated and judged the file, by their references."""
    from cyclonedx.model.component import ComponentType

    golden = about["data"]
    yield (
        "golden",
        _hashed(
            ComponentType.DATA,
            golden["name"],
            golden["sha256"],
            bom_ref="golden",
            description=f"golden photos, {golden['images']}, inside the package: crops.bin",
        ),
    )
    for result in results:
        calibrated = result.calibration.photos if result.calibration else None
        for what, photos in (("calibrated", calibrated), ("judged", result.data)):
            if photos:
                reference = f"{what}-{photos.sha256[:12]}"
                yield (
                    reference,
                    _hashed(
                        ComponentType.DATA,
                        photos.name,
                        photos.sha256,
                        bom_ref=reference,
                        description=f"photos that {what} it, {photos.images}, not in the package",
                    ),
                )


def _tools(versions: Mapping[str, str | None]) -> Any:
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    own = Component(
        type=ComponentType.APPLICATION,
        name="paddle-portage",
        version=VERSION,
        bom_ref="paddle-portage",
        licenses=_licences("Apache-2.0"),
    )
    others = [
        Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            bom_ref=f"tool-{name}",
            licenses=_licences(_licence(name)),
        )
        for name, version in versions.items()
    ]
    return ToolRepository(components=[own, *others])


def _licence(package: str) -> str | None:
    """A package's licence as its metadata say; None where it is in another environment, or says
    none."""
    try:
        said = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    name = said["License-Expression"] or said["License"] or ""
    return name if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else None


def _licences(name: str | None) -> list:
    from cyclonedx.contrib.license.factories import LicenseFactory

    return [LicenseFactory().make_from_string(name)] if name else []


def _model_card(
    about: Mapping[str, Any], photos: list[str], results: Sequence[Result]
) -> dict[str, Any]:
    """CycloneDX' model card: the task, the photos, and what was measured."""
    card: dict[str, Any] = {
        "modelParameters": {
            "task": "image classification",
            "modelArchitecture": about["model"],
            "datasets": [{"ref": reference} for reference in photos],
            "inputs": [{"format": f"float32 {[1, *about['input_shape']]}"}],
            "outputs": [{"format": f"logits, float32 [1, {about['class_num']}]"}],
        }
    }
    if metrics := [metric for result in results for metric in _metrics(result)]:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card


def _metrics(result: Result) -> Iterator[dict[str, Any]]:
    """What a result says of a file, each figure with where and on which photos."""
    where = f"{result.verdict}, {result.execution}, {result.data.images} photos of "
    where += result.data.name
    drift = result.drift
    if drift:
        yield {
            "type": "agreement with Paddle Inference in fp32, share of decisions",
            "value": f"{drift.agreement:.4f}",
            "slice": where,
        }
        if drift.top1_pp is not None and drift.ci95_pp:
            low, high = drift.ci95_pp
            yield {
                "type": "top-1 drift, percentage points",
                "value": f"{drift.top1_pp:.2f}",
                "slice": where,
                "confidenceInterval": {"lowerBound": f"{low:.2f}", "upperBound": f"{high:.2f}"},
            }
    if result.measured:
        yield {"type": "top-1", "value": f"{result.measured.top1:.4f}", "slice": where}
