"""A machine with a GPU, as far as it can be had without one, for the tests of several folders.

The driver is `tensorrt_surface/driver.c`, compiled; TensorRT is the stand-in of a recorded
version in an environment of its own, made like .venv-trt. Everything else is the real thing.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from common import files
from common.paths import ROOT
from runtimes import environments, nvidia
from tests.runtimes.tensorrt_surface import fake

HERE = Path(__file__).parent / "tensorrt_surface"
T4 = ("Tesla T4", "75")
DRIVER = "535.104.05 (CUDA 12.2)"

_MODULE = """
import sys
sys.path.insert(0, {root!r})
from tests.runtimes.tensorrt_surface import fake
vars(sys.modules[__name__]).update(vars(fake.module({version!r})))
"""


_AT_START = """
import sys
if sys.version_info >= (3, 11):  # not in .venv-lite
    import dataclasses
    sys.path.append({root!r})
    from runtimes import environments
    environments.TRT = dataclasses.replace(environments.TRT, folder={folder!r})
    environments.ENVIRONMENTS["trt"] = environments.TRT
    sys.path.remove({root!r})
"""


class Machine:
    """Installs GPUs and TensorRTs; `Machine(folder, monkeypatch)` undoes it after the test."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        if not shutil.which("gcc"):
            pytest.skip("needs gcc, for a driver to stand in")
        self._folder = folder
        self._patch = patch
        self.driver = folder / "driver" / "libcuda.so.1"
        self.driver.parent.mkdir()
        options = ["-shared", "-fPIC", f"-Wl,-soname,{self.driver.name}"]
        subprocess.run(["gcc", *options, "-o", self.driver, HERE / "driver.c"], check=True)
        self.driver.with_name("libnvidia-ml.so.1").symlink_to(self.driver)
        self._patch.setenv("LD_LIBRARY_PATH", str(self.driver.parent))

    def plug_in(self, name: str, architecture: str) -> None:
        """Make this the machine's GPU."""
        self._patch.setenv("GPU_NAME", name)
        self._patch.setenv("GPU_ARCHITECTURE", architecture)
        nvidia.find.cache_clear()

    def install(self, version: str) -> None:
        """Make `.venv-trt` with the stand-in for this TensorRT."""
        folder = self._folder / f"venv-{version}"
        venv.create(folder, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        own = next(path for path in sys.path if path.endswith("site-packages"))
        (packages / "main.pth").write_text(own)
        (packages / f"tensorrt-{version}.dist-info").mkdir()
        (packages / "tensorrt.py").write_text(_MODULE.format(root=str(ROOT), version=version))
        trt = dataclasses.replace(environments.TRT, folder=os.fspath(folder))
        self._patch.setitem(environments.ENVIRONMENTS, "trt", trt)

    def install_rtx(self) -> None:
        """Make TensorRT-RTX one that runs here, with a driver that it takes, and no TensorRT."""
        packages = self._folder / "rtx"
        packages.mkdir()
        (packages / "tensorrt_rtx.py").write_text(_MODULE.format(root=str(ROOT), version=fake.RTX))
        self._patch.setenv("PYTHONPATH", str(packages))
        self._patch.setenv("GPU_CUDA", "13000")
        absent = dataclasses.replace(environments.TRT, folder=str(self._folder / "no venv"))
        self._patch.setitem(environments.ENVIRONMENTS, "trt", absent)
        nvidia.find.cache_clear()

    def install_for_commands(self, version: str) -> None:
        """The same for all that is started from now on; `make setup` finds nothing to do."""
        self.install(version)
        folder = environments.ENVIRONMENTS["trt"].path
        (folder / ".made-from").write_text(files.sha256(environments.TRT.lock_path))
        start = self._folder / "at-start"
        start.mkdir()
        text = _AT_START.format(root=str(ROOT), folder=str(folder))
        (start / "sitecustomize.py").write_text(text)
        self._patch.setenv("PYTHONPATH", str(start))
