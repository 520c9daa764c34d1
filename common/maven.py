"""Archives from Maven Central, fetched by the mvn client with the user's own settings."""

import re
import shutil
import subprocess
from pathlib import Path

from common import files
from common.console import say
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import cache_root

# Pinned, since mvn's own choice of a version for a bare "dependency" is years old.
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"

# Where mvn keeps what it fetched before, unless it is told otherwise: starting it takes seconds.
_REPOSITORY = Path.home() / ".m2" / "repository"


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
    """An artifact's file, with exactly this hash, in the cache's `packages` folder.

    None of its code runs, and nothing that it depends on is fetched. `timeout` is in seconds, for
    the whole fetch. Raises UserError, which says what to do, when it cannot be had or is another.
    """
    stem = "-".join(filter(None, (artifact, version, classifier)))
    folder = cache_root() / "packages"
    archive = folder / f"{stem}.{extension}"
    with files.locked(folder / f".{archive.name}.lock"):
        if archive.is_file() and cached_sha256(archive) == sha256:
            return archive
        scratch = folder / f".{archive.name}.part"
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        scratch.mkdir()
        coordinates = ":".join(filter(None, (group, artifact, version, extension, classifier)))
        kept = _REPOSITORY.joinpath(*group.split("."), artifact, version, archive.name)
        try:
            if kept.is_file() and files.sha256(kept) == sha256:
                fetched = Path(shutil.copyfile(kept, scratch / archive.name))
            else:
                fetched = _mvn_copy(scratch, archive, coordinates, timeout)
            digest = files.sha256(fetched)
            if digest != sha256:
                raise UserError(
                    f"{archive.name} from the Maven repository is not the expected file: its "
                    f"sha256 is {digest}, not {sha256}; see which repository mvn is set up for"
                )
            fetched.replace(archive)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return archive


def _mvn_copy(scratch: Path, archive: Path, coordinates: str, timeout: float) -> Path:
    """Let mvn put an artifact into an empty folder."""
    by_hand = f"or put {archive.name} into {archive.parent}"
    mvn = shutil.which("mvn")
    if mvn is None:
        raise UserError(
            f"mvn, which fetches {coordinates}, is not on this machine; install Maven, {by_hand}"
        )
    say(f"  fetching {coordinates} with mvn, once")
    command = [mvn, "--batch-mode", "--quiet", _COPY, f"-Dartifact={coordinates}"]
    command += [f"-DoutputDirectory={scratch}"]
    what = f"mvn cannot fetch {coordinates}"
    remedy = f"check the network and mvn's settings, {by_hand}"
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{what}: it did not end within {timeout:.0f} s; {remedy}") from None
    fetched = scratch / archive.name
    if done.returncode or not fetched.is_file():
        raise UserError(f"{what}: {_complaint(done)}; {remedy}")
    return fetched


def _complaint(done: subprocess.CompletedProcess) -> str:
    """The first line that mvn marks as an error, without its colours and its own command."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    lines = [line.removeprefix("[ERROR] ") for line in plain.splitlines() if "[ERROR] " in line]
    said = lines[0] if lines else f"it ended with status {done.returncode}"
    return " ".join(re.sub(r"^Failed to execute goal .*? on project \S+: ", "", said).split())
