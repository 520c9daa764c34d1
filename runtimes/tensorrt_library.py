"""Which library builds and runs engines on this machine's GPU.

TensorRT where `.venv-trt` can be had, else TensorRT-RTX, which is in the main environment anyway.
The two have one Python interface, different kernels, and do not load each other's engines.
"""

import re
from dataclasses import dataclass

from runtimes import nvidia
from runtimes.environments import ENVIRONMENTS, MAIN, TRT
from runtimes.nvidia import Gpu

RTX_BUILDS_FOR = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121")  # its ComputeCapability
_RTX_CUDA = 13  # what the package is made for, hence a driver of it


@dataclass(frozen=True)
class Library:
    """A library as one speaks of it, its Python module, its package, and whose environment."""

    title: str
    module: str
    package: str
    environment: str

    @property
    def version(self) -> str:
        """The installed version; "None" where it is not installed."""
        return str(ENVIRONMENTS[self.environment].version(self.package))

    def missing(self) -> str | None:
        """Why its environment cannot be used; None when it can."""
        return ENVIRONMENTS[self.environment].problem()


TENSORRT = Library("TensorRT", "tensorrt", "tensorrt", TRT.name)
RTX = Library("TensorRT-RTX", "tensorrt_rtx", "tensorrt_rtx_cu13", MAIN.name)


def usable(gpu: Gpu) -> Library | None:
    """The better library that runs on a GPU of this machine; None where neither does."""
    if TENSORRT.missing() is None:
        return TENSORRT
    return None if _rtx_problem(gpu) else RTX


def problem() -> str | None:
    """Why no library runs on a GPU here, with the command that would mend it; None where one does.

    Of several GPUs it is about the first.
    """
    said = TENSORRT.missing()
    found, _ = nvidia.find()
    if said is None or not found:
        return said
    rtx = _rtx_problem(found[0])
    return f"{said}; nor does TensorRT-RTX serve: {rtx}" if rtx else None


def _rtx_problem(gpu: Gpu) -> str | None:
    if RTX.version == "None":
        return f"{RTX.package} is not installed"
    if gpu.architecture not in RTX_BUILDS_FOR:
        return f"it has no kernels for {gpu.architecture}"
    cuda = re.search(r"CUDA (\d+)", gpu.driver)
    if cuda and int(cuda[1]) < _RTX_CUDA:
        return f"it takes a driver for CUDA {_RTX_CUDA}, and this one is {gpu.driver}"
    return None
