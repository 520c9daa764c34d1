"""The Triton server of .venv-serve: started, watched, and ended with all that it started."""

import contextlib
import http.client
import os
import re
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from common import process
from common.errors import StepError, UserError
from common.paths import ROOT, tools_home
from deploy.serving.addresses import Addresses
from runtimes.environments import SERVE

_LIMIT = 300.0  # seconds that loading may take: models of 0.5 GB on a busy machine
_GRACE = 10.0  # for Triton to end what it is at
_SOON, _PERIOD = 0.05, 0.5
_LOG = "triton.log"
# What a client must not do: name shared memory, write traces and logs into files, swap models.
_CLOSED = "shared-memory,trace,logging,model-repository"
# Of each thread, reserved and not taken: this Triton puts 16 bytes there for each chunk of a body,
# so that a request of half a million tiny ones, 3 MB, would end it with the usual 8 MiB.
_STACK = 64 << 20
# It becomes Triton, and ends when we do, however that happens.
_BEGIN = f"""
import os, resource, sys
sys.path[:0] = [sys.argv[1]]
from runtimes.worker_protocol import end_with
end_with(int(sys.argv[2]))
_, most = resource.getrlimit(resource.RLIMIT_STACK)
stack = {_STACK} if most == resource.RLIM_INFINITY else min({_STACK}, most)
resource.setrlimit(resource.RLIMIT_STACK, (stack, most))
os.execv(sys.argv[3], sys.argv[3:])
"""
_FAILED = re.compile(r"failed to load '(?P<model>[^']+)' version \d+: (?P<why>.*)")
_NOISE = "CudaDriverHelper"  # it says at every start that there is no GPU
_DIED = re.compile(r"^died: (.*)", re.M)


@dataclass(frozen=True)
class _Wheel:
    """Where Triton lies in .venv-serve."""

    packages: Path

    @classmethod
    def find(cls) -> "_Wheel":
        if problem := SERVE.problem():
            raise UserError(f"the server: {problem}")
        return cls(next(SERVE.path.glob("lib/python3.*/site-packages")).resolve())

    @property
    def triton(self) -> Path:
        return self.packages / "pytriton" / "tritonserver"

    @property
    def version(self) -> str:
        """Of Python, as "3.11"."""
        return self.packages.parent.name.removeprefix("python")

    def libraries(self) -> list[Path]:
        """Where its libraries lie, Python's own among them where the system does not have it."""
        facts = (SERVE.path / "pyvenv.cfg").read_text()
        home = re.search(r"^home *= *(.+)$", facts, re.M)
        python = [Path(home[1]).resolve().parent / "lib"] if home else []
        return [self.packages / "nvidia_pytriton.libs", *python]

    def settings(self) -> dict[str, str]:
        """The environment in which its backends find this environment's Python, and libraries."""
        given = os.environ.get("LD_LIBRARY_PATH")
        libraries = [*map(str, self.libraries()), *filter(None, [given])]
        programs = [str(SERVE.python.parent), os.environ.get("PATH", os.defpath)]
        return {"LD_LIBRARY_PATH": ":".join(libraries), "PATH": ":".join(programs)}

    def lay_out_backends(self, folder: Path) -> None:
        """A folder of backends whose Python is this environment's."""
        place = folder / "python"
        place.mkdir(parents=True)
        stub = self.triton / "python_backend_stubs" / self.version / "triton_python_backend_stub"
        for file in (*(self.triton / "backends" / "python").iterdir(), stub):
            (place / file.name).symlink_to(file)


class Triton:
    """A server of the models in `repository`, a folder below `folder`, which is its own.

    Use it as a context manager: it is ready inside. Raises StepError where a model does not load.
    """

    def __init__(self, folder: Path, repository: Path, addresses: Addresses):
        self._folder, self._repository, self._addresses = folder, repository, addresses
        self._wheel = _Wheel.find()
        self._backends: dict[psutil.Process, str] = {}  # and whose they are

    def __enter__(self) -> "Triton":
        started = time.monotonic()
        self._start()
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        self.seconds = time.monotonic() - started
        self._backends = {child: _model_of(child) for child in _children(self._child.pid)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end()

    def memory_mib(self) -> int:
        """The memory that the server and its backends take, shared parts counted once."""
        return _proportional_mib(self._child.pid)

    def watch(self) -> None:
        """Wait until it ends by itself, or one of its backends does: StepError that says it.

        Triton goes on without a backend, says that it is ready, and answers with errors.
        """
        while True:
            time.sleep(_PERIOD)
            if self._child.poll() is not None:
                raise self._death()
            for child, model in self._backends.items():
                if not _runs(child):
                    said = _DIED.findall(self._said())
                    why = f": {said[-1]}" if said else ", killed or out of memory"
                    raise StepError(
                        f"the backend of {model} died{why}; so the server was ended, start it again"
                    )

    def _start(self) -> None:
        backends = self._folder / "backends"
        self._wheel.lay_out_backends(backends)
        key = f"{_CLOSED}:portage={secrets.token_hex(16)}"
        settings = {
            "model-repository": self._repository,
            "backend-directory": backends,
            "cache-directory": self._wheel.triton / "caches",
            "http-address": self._addresses.host,
            "http-port": self._addresses.http,
            "grpc-address": self._addresses.host,
            "grpc-port": self._addresses.grpc,
            "metrics-address": self._addresses.host,
            "metrics-port": self._addresses.metrics,
            "http-restricted-api": key,
            "grpc-restricted-protocol": key,
            # What is left of its shared memory goes with the folder of that name.
            "backend-config": f"python,shm-region-prefix-name={self._folder.name}-",
            "exit-timeout-secs": int(_GRACE) // 2,
            "allow-gpu-metrics": "false",
            "pinned-memory-pool-byte-size": 0,
            "log-info": "false",
        }
        words = ["--disable-auto-complete-config"]
        words += [f"--{name}={value}" for name, value in settings.items()]
        server = self._wheel.triton / "bin" / "tritonserver"
        lifeline, self._ours = os.pipe()
        try:
            with (self._folder / _LOG).open("wb") as log:
                self._child = subprocess.Popen(
                    [SERVE.python, "-c", _BEGIN, ROOT, str(lifeline), server, *words],
                    cwd=self._folder,
                    env={**os.environ, "HOME": str(tools_home()), **self._wheel.settings()},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lifeline],
                    start_new_session=True,  # Ctrl-C is for us alone
                )
        finally:
            os.close(lifeline)

    def _wait(self) -> None:
        """Until it says that it is ready."""
        given_up = time.monotonic() + _LIMIT
        while not self._is_ready():
            if self._child.poll() is not None:
                raise self._death()
            if time.monotonic() > given_up:
                raise StepError(f"the server did not load its models within {_LIMIT:.0f} s")
            time.sleep(_SOON)

    def _is_ready(self) -> bool:
        address = self._addresses
        connection = http.client.HTTPConnection(address.here, address.http, timeout=_PERIOD)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _said(self) -> str:
        return (self._folder / _LOG).read_text(errors="replace")

    def _death(self) -> StepError:
        """Why it ended: the model that did not load, else its last complaint."""
        said = self._said()
        if failed := _FAILED.search(said):
            # Triton quotes what a backend said, with its breaks and where in the code it was.
            why = failed["why"].partition("\\n")[0].rstrip('"').removeprefix("Internal: ")
            return StepError(
                process.sentence(f"serving {failed['model']}", "it does not load", why)
            )
        told = "".join(line for line in said.splitlines(True) if _NOISE not in line)
        ended = process.Completed(self._child.returncode, stderr=told)
        how = process.ending(self._child.returncode)
        return StepError(process.sentence("the server", f"it {how}", process.error_line(ended)))

    def _end(self) -> None:
        """Ask it to end, so that its backends clean up; then make it and all that it started."""
        whole = all(map(_runs, self._backends))  # it would wait for a backend that died
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
            if self._child.poll() is None and whole:
                self._child.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(_GRACE)
        process.end_group(self._child, grace=0)
        os.close(self._ours)


# ---- processes ----


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:  # it has just ended
        return []


def _runs(child: psutil.Process) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _model_of(backend: psutil.Process) -> str:
    """The model of a backend: it is started with the path of its model.py."""
    path = next((word for word in backend.cmdline() if word.endswith("/model.py")), "")
    return Path(path).parent.parent.name


def _proportional_mib(parent: int) -> int:
    """The memory of a process and of all that it started, shared parts counted once."""
    found = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        one = psutil.Process(parent)
        for each in (one, *one.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found += each.memory_full_info().pss
    return found >> 20
