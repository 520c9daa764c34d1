"""Archives from the npm registry, fetched by the npm client with the user's own settings."""

import json
import shutil
import subprocess
from pathlib import Path

from common import files
from common.console import say
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import cache_root


def npm_archive(name: str, version: str, sha256: str, *, timeout: float = 900.0) -> Path:
    """A package's archive (.tgz), with exactly this hash, in the cache's `packages` folder.

    Nothing is installed and none of its code runs. `timeout` is in seconds, for the whole fetch.
    Raises UserError, which says what to do, when the archive cannot be had or is another one.
    """
    folder = cache_root() / "packages"
    archive = folder / f"{name}-{version}.tgz"
    with files.locked(folder / f".{archive.name}.lock"):
        if archive.is_file() and cached_sha256(archive) == sha256:
            return archive
        scratch = folder / f".{archive.name}.part"
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        scratch.mkdir()
        try:
            fetched = _npm_pack(scratch, archive, f"{name}@{version}", timeout)
            digest = files.sha256(fetched)
            if digest != sha256:
                raise UserError(
                    f"{archive.name} from the npm registry is not the expected file: its sha256 "
                    f"is {digest}, not {sha256}; see which registry npm is set up for"
                )
            fetched.replace(archive)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return archive


def _npm_pack(scratch: Path, archive: Path, package: str, timeout: float) -> Path:
    """Let npm put a package's archive into an empty folder."""
    by_hand = f"or put {archive.name} into {archive.parent}"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"npm, which fetches {package}, is not on this machine; install Node.js, {by_hand}"
        )
    say(f"  fetching {package} with npm, once")
    # With --json a failure is a JSON object whose summary is one sentence.
    command = [npm, "pack", package, "--json", "--ignore-scripts", "--no-update-notifier"]
    what, remedy = f"npm cannot fetch {package}", f"check the network and npm's settings, {by_hand}"
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
    try:
        said = json.loads(done.stdout)["error"]["summary"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip() or f"it ended with status {done.returncode}").splitlines()[-1]
    return " ".join(said.split())
