"""Child processes for foreign tools: with a time limit, and with their death as a sentence.

Converters and runtimes abort, hang, print and leak. Each runs in a process of its own, in the
environment that holds it, and this module turns whatever happens there into a value or a
StepError.
"""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import errors, process
from common.errors import StepError, UserError
from common.paths import ROOT
from runtimes.environments import ENVIRONMENTS
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL

# Paddle's older graph format is what Paddle Lite and Paddle2ONNX's stable path read; the switch
# must stand before Paddle is imported. Paddle2ONNX would otherwise let Polygraphy run pip, and ONNX
# Runtime, from 1.29 on, tell its maker which networks are run.
_SETTINGS = {
    "FLAGS_enable_pir_api": "0",
    "POLYGRAPHY_AUTOINSTALL_DEPS": "0",
    "ORT_DISABLE_TELEMETRY": "1",
    "GLOG_minloglevel": "2",
    "PYTHONWARNINGS": "ignore",
}
_DEFAULT_LIMIT = 600.0


class DeadWorkerError(StepError):
    """The child died: what it was doing, how it ended and its last words."""


class Worker:
    """A child process in one of the environments of a host; use it as a context manager.

    `label` says in error messages what the child was doing ("to_lite of VGG11"); `settings` are
    environment variables of its own.
    """

    def __init__(
        self,
        environment: str,
        label: str,
        threads: int | None = None,
        host: Host = LOCAL,
        settings: Mapping[str, str] | None = None,
    ):
        self.label = label
        self.peak_mib = 0
        self.host = host
        self._environment = ENVIRONMENTS[environment]
        self._settings = {**_SETTINGS, **(settings or {})}
        if threads:
            self._settings["OMP_NUM_THREADS"] = str(threads)

    def __enter__(self) -> "Worker":
        problem = self.host.problem(self._environment)
        if problem:
            raise UserError(f"{self.label}: {problem}")
        self._child = self.host.start(self._environment, self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.end()

    def call(
        self, function: Callable | str, limit: float = _DEFAULT_LIMIT, **arguments: Any
    ) -> Any:
        """Call a function in the child and return its value.

        A function of a module that only the child's interpreter can import is named,
        "module:name"; any other is passed itself, and must stand in a module.

        Raises StepError when the child takes longer than `limit` seconds, DeadWorkerError when it
        dies, UserError when its host is lost, and OSError where that may come of a full disk. A
        UserError, a StepError and an OSError of the child arrive as themselves.
        """
        return self._ask("call", _name(function), limit, arguments)

    def open(self, function: Callable | str, **arguments: Any) -> None:
        """Call a function or a class in the child, which keeps what it returns for `use`."""
        self._ask("open", _name(function), _DEFAULT_LIMIT, arguments)

    def use(self, method: str, limit: float = _DEFAULT_LIMIT, **arguments: Any) -> Any:
        """Call a method of what `open` made."""
        return self._ask("use", method, limit, arguments)

    def printed(self) -> str:
        """All that the child has printed so far."""
        return self._child.log.read_text(errors="replace")

    def _ask(self, verb: str, name: str, limit: float, arguments: dict[str, Any]) -> Any:
        limit *= self.host.patience
        message = self._child.channel.pack((verb, name, arguments))
        try:
            self._child.channel.send_bytes(message)
            answer = self._child.channel.receive(limit)
        except TimeoutError:
            process.end_group(self._child.process, grace=0)
            raise StepError(
                f"{self.label}: no answer within {limit:.0f} s, so it was ended"
            ) from None
        except (EOFError, OSError):
            raise self._death() from None
        if answer[0] == "value":
            self.peak_mib = answer[2]
            return answer[1]
        _, kind, text, trace, number = answer
        expected = getattr(errors, kind, None)
        if expected is not None:
            raise expected(text)
        if number is not None:
            raise OSError(number, os.strerror(number), self.label)
        process.refuse_full_disk(self.label, text)
        line = process.first_line(text) or "no message"
        error = StepError(process.sentence(self.label, kind, line))
        error.add_note(trace)
        raise error

    def _death(self) -> Exception:
        """How the child ended, and the most telling line it printed."""
        child = self._child.process
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it closed the pipe, and lives on
            process.end_group(child, grace=0)
        said = self.printed()
        if lost := self.host.lost(self.label, child.returncode, said):
            return lost
        process.refuse_full_disk(self.label, said)
        lines = said.splitlines()
        telling = [line for line in lines if "rror" in line or "Check failed" in line] or lines
        how = f"the tool {self.host.ending(child.returncode)}"
        last = telling[-1] if telling else None
        return DeadWorkerError(process.sentence(self.label, how, last))


def _name(function: Callable | str) -> str:
    """A function as "module:name", as both sides can import it."""
    if isinstance(function, str):
        return function
    module = function.__module__
    if module == "__main__":  # a command's own, which was started by its path
        path = Path(inspect.getfile(sys.modules[module])).resolve().relative_to(ROOT)
        module = ".".join(path.with_suffix("").parts)
    return f"{module}:{function.__qualname__}"
