"""How a child process and its parent talk: calls in, values out, large arrays beside the pipe.

Runs on both sides, in CPython 3.7 too, and so imports nothing of the project.
"""

import copyreg
import fcntl
import importlib
import io
import os
import pickle
import resource
import select
import signal
import tempfile
import traceback
from multiprocessing.connection import Connection

import numpy as np

_LARGE = 1 << 20
_PROTOCOL = 4  # the newest that CPython 3.7 reads


class Channel:
    """Messages through a pipe each way: anything that both sides can import.

    An array goes as its bytes, so that the sides may have different versions of numpy, or, when
    it is large, as a file in the folder `shared`, which is best in memory: a batch of photos would
    spend longer in the pipe than in some networks. Without a folder all goes through the pipe.
    """

    def __init__(self, reading, writing, shared=None):
        self._reading = Connection(reading, writable=False)
        self._writing = Connection(writing, readable=False)
        self._shared = shared

    def send(self, value):
        self.send_bytes(self.pack(value))

    def send_bytes(self, message):
        self._writing.send_bytes(message)

    def pack(self, value):
        """The message that carries a value."""
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, _PROTOCOL)
        arrays = dict.fromkeys((np.ndarray, np.memmap), self._reduce_array)
        pickler.dispatch_table = {**copyreg.dispatch_table, **_SCALARS, **arrays}
        pickler.dump(value)
        return stream.getbuffer()

    def receive_bytes(self):
        """The next message. Raises EOFError when the other side is gone."""
        return self._reading.recv_bytes()

    def receive(self, limit):
        """The next value; TimeoutError when it is not there within so many seconds."""
        if not self._reading.poll(limit):
            raise TimeoutError
        return pickle.loads(self.receive_bytes())

    def close(self):
        self._reading.close()
        self._writing.close()

    def _reduce_array(self, array):
        path = None
        if self._shared and array.nbytes >= _LARGE:
            path = _share(array, self._shared)
        if path:
            return _mapped, (path, array.dtype.str, array.shape)
        return _viewed, (array.tobytes(), array.dtype.str, array.shape)


def _viewed(payload, dtype, shape):
    return np.frombuffer(payload, dtype=dtype).reshape(shape)


def _mapped(path, dtype, shape):
    array = np.memmap(path, dtype=dtype, mode="r", shape=shape)
    os.unlink(path)  # the mapping keeps the bytes until it goes away
    return array


def _same(value):
    return value


def _reduce_scalar(scalar):
    return _same, (scalar.item(),)


_PLAIN = (np.bool_, np.str_, np.integer, np.float16, np.float32, np.float64)
_SCALARS = {  # numpy's numbers become Python's
    kind: _reduce_scalar for kind in np.sctypeDict.values() if issubclass(kind, _PLAIN)
}


def _share(array, shared):
    """The path of a new file with the array's bytes; None where it does not fit."""
    handle, path = tempfile.mkstemp(dir=shared)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.ascontiguousarray(array).tofile(stream)
    except OSError:
        os.unlink(path)
        return None
    return path


def main(shared, lifeline):
    """The child's whole life: serve calls from standard input, answer on standard output.

    Whatever prints, from C too, goes to standard error, which is the log. `shared` and `lifeline`
    are those of `Channel` and `end_with`, or "".
    """
    if lifeline:
        end_with(int(lifeline))
    channel = Channel(os.dup(0), os.dup(1), shared)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    serve(channel)
    os._exit(0)  # foreign runtimes crash in their destructors


def end_with(lifeline):
    """Let the kernel end this process group once nobody holds the other end of a pipe any more.

    So it ends with the parent, however that ends, and in the middle of a computation, too.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it ended before
        os._exit(1)


def serve(channel):
    """Answer calls until the parent closes the channel.

    A call is (verb, "module:name", arguments). "call" calls the function, "open" keeps what it
    returns, and "use" calls a method, that name, of what is kept. The answer is ("value", result,
    peak resident MiB) or ("error", class name, text, traceback, errno or None).
    """
    kept = None
    while True:
        try:
            message = channel.receive_bytes()
        except EOFError:
            return
        try:
            verb, name, arguments = pickle.loads(message)
            if verb == "use":
                result = getattr(kept, name)(**arguments)
            else:
                module, _, attribute = name.partition(":")
                result = getattr(importlib.import_module(module), attribute)(**arguments)
            if verb == "open":
                kept, result = result, None
            answer = channel.pack(("value", result, peak_mib()))
        except Exception as error:  # noqa: BLE001 - goes to the caller
            number = getattr(error, "errno", None)
            answer = channel.pack(
                ("error", type(error).__name__, str(error), traceback.format_exc(), number)
            )
        channel.send_bytes(answer)


def peak_mib():
    """The largest resident memory of this process so far, in MiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
