"""Child processes for foreign tools: with a time limit, and with their death as a sentence.

Converters and runtimes abort, hang, print and leak. Each runs in a process of its own, in the
environment that holds it, and this module turns whatever happens there into a value or a
StepError.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import execnet

from common import errors
from common.errors import StepError, UserError
from common.paths import ROOT, tools_home
from runtimes import worker_protocol
from runtimes.environments import ENVIRONMENTS

# Paddle's older graph format is what Paddle Lite and Paddle2ONNX's stable path read; the switch
# must stand before Paddle is imported. Paddle2ONNX would otherwise let Polygraphy run pip.
_SETTINGS = {
    "FLAGS_enable_pir_api": "0",
    "POLYGRAPHY_AUTOINSTALL_DEPS": "0",
    "GLOG_minloglevel": "2",
    "PYTHONWARNINGS": "ignore",
}
_DEFAULT_LIMIT = 600.0


class Worker:
    """A child process in one of the environments; use it as a context manager.

    `label` says in error messages what the child was doing ("to_lite of VGG11").
    """

    def __init__(self, environment: str, label: str, threads: int | None = None):
        self.label = label
        self.peak_mib = 0
        self._environment = ENVIRONMENTS[environment]
        # Paddle writes into the home folder, of all places, what it makes of a network's code.
        self._settings = _SETTINGS | {"HOME": str(tools_home())}
        if threads:
            self._settings["OMP_NUM_THREADS"] = str(threads)
        self._group = None

    def __enter__(self) -> "Worker":
        problem = self._environment.problem()
        if problem:
            raise UserError(f"{self.label}: {problem}")
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._shared = Path(tempfile.mkdtemp(prefix="portage-", dir=in_memory))
        self._log = self._shared / "output.log"
        self._group = execnet.Group()
        environment = "".join(f"//env:{name}={value}" for name, value in self._settings.items())
        gateway = self._group.makegateway(
            f"popen//python={self._environment.python}//chdir={ROOT}{environment}"
        )
        self._process = gateway._io.popen
        self._channel = gateway.remote_exec(_child_main)
        self._channel.send((str(ROOT), str(self._shared), str(self._log)))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._channel.close()
        # Foreign runtimes crash in their destructors too: the work is done, so no waiting.
        self._process.kill()
        self._group.terminate(timeout=1.0)
        shutil.rmtree(self._shared, ignore_errors=True)

    def call(self, function: str, limit: float = _DEFAULT_LIMIT, **arguments: Any) -> Any:
        """Call "module:function" in the child and return its value.

        Raises StepError when the child dies, or takes longer than `limit` seconds. A UserError,
        a StepError and an OSError of the child arrive as themselves.
        """
        try:
            self._channel.send((function, worker_protocol.pack(arguments, str(self._shared))))
            answer = self._channel.receive(timeout=limit)
        except self._channel.TimeoutError:
            self._process.kill()
            raise StepError(
                f"{self.label}: no answer within {limit:.0f} s, so it was ended"
            ) from None
        except (EOFError, OSError):
            raise StepError(f"{self.label}: {self._last_words()}") from None
        if answer[0] == "value":
            self.peak_mib = answer[2]
            return worker_protocol.unpack(answer[1])
        _, kind, text, trace, number = answer
        expected = getattr(errors, kind, None)
        if expected is not None:
            raise expected(text)
        if number is not None:
            raise OSError(number, os.strerror(number), self.label)
        error = StepError(f"{self.label}: {kind}: {_first_line(text)}")
        error.add_note(trace)
        raise error

    def open(self, function: str, **arguments: Any) -> None:
        """Call "module:function" in the child, which keeps what it returns for `use`."""
        self.call(f"open {function}", **arguments)

    def use(self, method: str, limit: float = _DEFAULT_LIMIT, **arguments: Any) -> Any:
        """Call a method of what `open` made."""
        return self.call(f"use {method}", limit, **arguments)

    def _last_words(self) -> str:
        """How the child ended, and the most telling line it printed."""
        status = self._process.wait(timeout=10)
        if status < 0:
            how = f"the tool was ended by {signal.Signals(-status).name}"
        else:
            how = f"the tool ended with status {status}"
        lines = self._log.read_text(errors="replace").splitlines()
        telling = [line for line in lines if "rror" in line or "Check failed" in line] or lines
        return f"{how}: {_first_line(telling[-1])}" if telling else how


def _first_line(text: str) -> str:
    """The first line that says something, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" -\n")]
    return lines[0][:300] if lines else "no message"


def _child_main(channel):
    # Sent to the child as source text: it may use nothing of this module.
    import sys

    root, shared, log = channel.receive()
    sys.path.insert(0, root)
    from runtimes import worker_protocol

    worker_protocol.redirect_output(log)
    worker_protocol.serve(channel, shared)
