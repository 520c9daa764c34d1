"""The few calls of NVIDIA's driver that running an engine needs, through ctypes.

The driver's own library is there wherever a GPU is, in every version, so that no package is
needed. Runs in .venv-trt (CPython 3.10) and imports nothing of the project.
"""

import ctypes

import numpy as np

_Address = ctypes.c_uint64  # CUdeviceptr


class Device:
    """A GPU, made current for this thread, with one stream on which everything happens in order.

    TensorRT works in the primary context, which is therefore the one taken here. Nothing is given
    back: the process that holds a session ends with it.
    """

    def __init__(self, index: int):
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        device, context, stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), index)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._call("cuStreamCreate", ctypes.byref(stream), 0)
        self.stream = stream.value
        self._device = device

    def allocate(self, count: int) -> int:
        """The address of so many bytes of the GPU's memory."""
        address = _Address()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(count))
        return address.value

    def upload(self, array: np.ndarray, address: int) -> None:
        """Copy a contiguous array to the GPU."""
        self._call(
            "cuMemcpyHtoDAsync_v2",
            _Address(address),
            ctypes.c_void_p(array.ctypes.data),
            ctypes.c_size_t(array.nbytes),
            ctypes.c_void_p(self.stream),
        )

    def download(self, address: int, array: np.ndarray) -> None:
        """Fill a contiguous array from the GPU, once everything before is done."""
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(array.ctypes.data),
            _Address(address),
            ctypes.c_size_t(array.nbytes),
            ctypes.c_void_p(self.stream),
        )
        self.wait()

    def copy(self, to: int, start: int, count: int) -> None:
        """Copy so many bytes within the GPU's memory."""
        ends = _Address(to), _Address(start), ctypes.c_size_t(count)
        self._call("cuMemcpyDtoDAsync_v2", *ends, ctypes.c_void_p(self.stream))

    def wait(self) -> None:
        """Return when everything on the stream is done."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(self.stream))

    def clocks_mhz(self) -> dict:
        """The clocks of the GPU's processors ("sm") and "memory" now, where the driver tells."""
        bus, handle, clock = ctypes.create_string_buffer(32), ctypes.c_void_p(), ctypes.c_uint()
        self._call("cuDeviceGetPCIBusId", bus, len(bus), self._device)
        try:
            nvml = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return {}
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(handle)):
            return {}
        return {
            name: clock.value
            for name, kind in (("sm", 1), ("memory", 2))  # of NVML's clocks
            if not nvml.nvmlDeviceGetClockInfo(handle, kind, ctypes.byref(clock))
        }

    def _call(self, name: str, *arguments) -> None:
        status = getattr(self._cuda, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} failed with CUDA error {status}")
