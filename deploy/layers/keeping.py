"""What every finding about a file's layers says of itself, and where it is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from common import files
from common.console import say, shown
from common.paths import build_root
from common.strict_json import STRICT, FormError, decode, encode, parse
from common.version import VERSION
from deploy.verdict.result import Data, Digest, Host, Name, Text
from runtimes.session_pool import Execution, SessionSpec

if TYPE_CHECKING:
    from convert.artifact import Artifact
    from data.crops import Crops
    from deploy.targets.base import Target

SCHEMA = 1

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Finding:
    """`files` are those that were looked into, by name with their sha256, in `execution` on `host`;
    `data` are the photos."""

    schema: Annotated[int, Field(ge=SCHEMA, le=SCHEMA)]
    toolkit: Text
    model: Text
    name: Name
    target: Text
    precision: Text
    weights: Text
    host: Host
    execution: Execution
    files: Mapping[Text, Digest]
    data: Data


def about(
    graph: "Artifact",
    target: "Target",
    precision: str,
    session_spec: SessionSpec,
    crops: "Crops",
    photos: int,
) -> dict[str, Any]:
    """The fields of a finding, but its files: of a graph's file of that target, as it runs by
    `session_spec`, on so many of the photos."""
    host = session_spec.host
    skipped = len(crops.skipped)
    return {
        "schema": SCHEMA,
        "toolkit": VERSION,
        "model": graph.model,
        "name": graph.name,
        "target": target.name,
        "precision": precision,
        "weights": graph.facts["weights"],
        "host": Host(name=host.name, isa=tuple(host.isa)),
        "execution": session_spec.execution,
        "data": Data(name=crops.name, images=photos, skipped=skipped, sha256=crops.sha256),
    }


def write(found: Finding, kind: str, device: str, own_file: str | None = None) -> Path:
    """Keep a finding as `build/<name>/<kind>/<target>-<precision>[-<device>][-file].json`.

    `device` is a host's label, as for results; "file" marks one of a file that the user gave.
    """
    parts = found.target, found.precision, device, "file" if own_file else ""
    path = build_root() / found.name / kind / ("-".join(filter(None, parts)) + ".json")
    files.write_json(path, encode(found))
    return path


def kept(name: str, kind: str, form: type[T], again: str) -> list[T]:
    """The findings of a kind that a build keeps, in the order of their files' names; a file that
    holds none, as an older toolkit wrote it, is left out with a sentence. `again` makes them anew.
    """
    found = []
    for path in sorted((build_root() / name / kind).glob("*.json")):
        try:
            found.append(decode(form, parse(path.read_text())))
        except (OSError, UnicodeDecodeError, FormError) as error:
            say(f"  {shown(path)} is left out: {error}; make it again: {again}")
    return found
