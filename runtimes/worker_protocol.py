"""How a child process and its parent talk: calls in, values out, arrays as bytes.

Runs on both sides, in CPython 3.7 too, and so imports nothing of the project.
"""

import importlib
import os
import resource
import tempfile
import traceback

import numpy as np

_ARRAY = "\0array"
_LARGE = 1 << 20


def pack(value, shared):
    """Make a value fit for the channel, which knows builtin types only.

    An array becomes its bytes, or, when it is large, the path of a file that holds them in the
    folder `shared`, which is best in memory: a batch of photos would spend longer in the pipe
    than in some networks.
    """
    if isinstance(value, np.ndarray):
        payload = _share(value, shared) if value.nbytes >= _LARGE else None
        return (_ARRAY, value.dtype.str, value.shape, payload or value.tobytes())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: pack(item, shared) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(pack(item, shared) for item in value)
    return value


def unpack(value):
    """The reverse of `pack`. Arrays are read-only views of what was received."""
    if isinstance(value, tuple) and len(value) == 4 and value[0] == _ARRAY:
        payload = value[3]
        if isinstance(payload, bytes):
            return np.frombuffer(payload, dtype=value[1]).reshape(value[2])
        array = np.memmap(payload, dtype=value[1], mode="r", shape=tuple(value[2]))
        os.unlink(payload)  # the mapping keeps the bytes until it goes away
        return array
    if isinstance(value, dict):
        return {key: unpack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(unpack(item) for item in value)
    return value


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


def serve(channel, shared):
    """The child's loop: answer calls until the parent closes the channel.

    A call is (function, arguments). A function "module:name" is called as it is; what a call of
    "open module:name" returns is kept, and "use name" calls a method of it. The answer is
    ("value", result, peak resident MiB) or ("error", class name, text, traceback, errno or None).
    """
    kept = None
    for function, arguments in channel:
        try:
            arguments = unpack(arguments)
            verb, _, name = function.rpartition(" ")
            if verb == "use":
                result = getattr(kept, name)(**arguments)
            else:
                module, _, attribute = name.partition(":")
                result = getattr(importlib.import_module(module), attribute)(**arguments)
            if verb == "open":
                kept, result = result, None
            answer = ("value", pack(result, shared), peak_mib())
        except Exception as error:  # noqa: BLE001 - goes to the caller
            number = getattr(error, "errno", None)
            answer = ("error", type(error).__name__, str(error), traceback.format_exc(), number)
        channel.send(answer)


def peak_mib():
    """The largest resident memory of this process so far, in MiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def redirect_output(log):
    """Send everything this process prints, from C too, to a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
