"""Archives from Maven Central."""

import re
from pathlib import Path

from common.paths import home
from common.process import Completed
from common.registries.client import Client

# Pinned, since mvn's own choice of a version for a bare "dependency" is years old.
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def maven_artifact(
    group: str,
    artifact: str,
    version: str,
    sha256: str,
    classifier: str | None = None,
    extension: str = "jar",
    *,
    timeout: float = 580.0,
) -> Path:
    """An artifact's file, as `Client.archive` gives it.

    None of its code runs, and nothing that it depends on is fetched.
    """
    name = f"{'-'.join(filter(None, (artifact, version, classifier)))}.{extension}"
    coordinates = ":".join(filter(None, (group, artifact, version, extension, classifier)))
    words = ["--batch-mode", "--quiet", _COPY, f"-Dartifact={coordinates}", "-DoutputDirectory=."]
    # Where mvn keeps what it fetched before, unless told otherwise: to start it takes seconds.
    repository = home() / ".m2" / "repository"
    kept = repository.joinpath(*group.split("."), artifact, version, name)
    return _MVN.archive(name, coordinates, words, sha256, timeout, kept)


def _complaint(done: Completed) -> str | None:
    """The first line that mvn marks as an error, without its colours and its own command."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.printed)
    lines = [line.removeprefix("[ERROR] ") for line in plain.splitlines() if "[ERROR] " in line]
    return re.sub(r"^Failed to execute goal .*? on project \S+: ", "", lines[0]) if lines else None


_MVN = Client("mvn", "Maven", "the Maven repository", _complaint)
