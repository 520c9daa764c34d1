"""The NVIDIA GPUs of this machine, asked of the driver itself.

Standard library only. The driver is asked in a child process with a time limit: a broken one
hangs or ends the process that touches it, as TensorRT 8.6 does where there is none.
"""

import functools
import json
import sys
from dataclasses import dataclass

from common import process
from common.errors import StepError

_LIMIT = 30.0  # seconds; a cold driver takes some

# Runs in the child. cuDeviceGetAttribute's 75 and 76 are the compute capability's two numbers.
_QUESTION = """
import ctypes, json, sys

def check(status, what):
    if status:
        sys.exit(f"{what} failed with CUDA error {status}")

cuda = ctypes.CDLL("libcuda.so.1")
check(cuda.cuInit(0), "cuInit")
number = ctypes.c_int()
check(cuda.cuDriverGetVersion(ctypes.byref(number)), "cuDriverGetVersion")
driver = f"CUDA {number.value // 1000}.{number.value % 1000 // 10}"
try:
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
    text = ctypes.create_string_buffer(96)
    if not nvml.nvmlInit_v2() and not nvml.nvmlSystemGetDriverVersion(text, 96):
        driver = f"{text.value.decode()} ({driver})"
except OSError:
    pass
check(cuda.cuDeviceGetCount(ctypes.byref(number)), "cuDeviceGetCount")
found = []
for index in range(number.value):
    device, name, values = ctypes.c_int(), ctypes.create_string_buffer(256), []
    check(cuda.cuDeviceGet(ctypes.byref(device), index), "cuDeviceGet")
    check(cuda.cuDeviceGetName(name, 256, device), "cuDeviceGetName")
    for attribute in (75, 76):
        check(cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device), "asking it")
        values.append(number.value)
    found.append([index, name.value.decode(), "sm_%d%d" % tuple(values), driver])
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Gpu:
    """A GPU: its number for the driver, name ("Tesla T4"), "sm_75", and the driver's version."""

    index: int
    name: str
    architecture: str
    driver: str


@functools.lru_cache
def find() -> tuple[tuple[Gpu, ...], str]:
    """The GPUs that the driver can use, and, where there are none, why."""
    try:
        command = [sys.executable, "-c", _QUESTION]
        asked = process.run(command, what="asking the NVIDIA driver", limit=_LIMIT)
    except StepError as error:
        absent = "libcuda.so.1" in str(error)
        return (), "no NVIDIA driver is installed" if absent else str(error)
    found = tuple(Gpu(*facts) for facts in json.loads(asked.stdout))
    return found, "" if found else "the NVIDIA driver knows no GPU"


def missing() -> str | None:
    """Why there is no GPU to be used here; None where there is one."""
    found, reason = find()
    return None if found else f"there is no NVIDIA GPU here ({reason})"
