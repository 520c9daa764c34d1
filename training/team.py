"""The processes that train together, one for each device: started, and come together."""

import contextlib
import io
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from common import machine, process
from common.errors import StepError, UserError

_BACKENDS = {"cpu": "gloo", "gpu": "nccl"}
_PATIENCE = 86400  # seconds to wait for the first device, which judges and keeps


class LostDeviceError(StepError):
    """Another device's process is gone, and this one cannot go on alone."""


def rank_and_size() -> tuple[int, int]:
    """This process' rank and how many there are, as `paddle.distributed.launch` says."""
    rank = os.environ.get("PADDLE_TRAINER_ID", "0")
    return int(rank), int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def require_devices(device: str, count: int, hosts: int, photos: int) -> None:
    """Raise UserError where there are not so many, on each of the hosts, or fewer photos."""
    if (total := count * hosts) > photos:
        raise UserError(f"{photos} photos cannot be shared by {total} devices; take fewer")
    if device == "cpu":
        return
    import paddle

    there = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
    if count > there:
        raise UserError(
            f"{there} GPUs are there that this PaddlePaddle could use, asked for {count}; train "
            "with --devices cpu, or install paddlepaddle-gpu where GPUs are"
        )


def launcher(count: int, command: Sequence[str], logs: str, *more: str) -> list[str]:
    """The command line of Paddle's launcher: a Python program, `count` times on this machine."""
    line = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(count)]
    return [*line, *more, "--log_level", "ERROR", "--log_dir", logs, *command]


def variables(device: str) -> dict[str, str]:
    """What the launcher's processes find in their environment."""
    # Not by --backend, which brings the launcher's older and noisier form.
    backend = {"PADDLE_DISTRI_BACKEND": _BACKENDS[device]}
    return {"FLAGS_stop_check_timeout": str(_PATIENCE), **backend}


def logs_folder() -> str:
    """A new folder for the logs of the processes. Private: the launcher puts its environment in."""
    return tempfile.mkdtemp(prefix="paddle-portage-launch-")


def launch(device: str, count: int) -> NoReturn:
    """Go on as `count` processes of this same command, one for each device."""
    command = launcher(count, [str(Path(sys.argv[0]).resolve()), *sys.argv[1:]], logs_folder())
    os.execve(command[0], command, os.environ | variables(device))


def join(device: str, here: int) -> tuple[int, int]:
    """Take up the device, one of `here` on this machine, and the company of the other processes;
    returns rank and how many there are in all."""
    import paddle

    rank, devices = rank_and_size()
    if devices > 1:
        process.end_with_parent(signal.SIGKILL)  # a killed launcher ends nothing itself
        with contextlib.redirect_stderr(io.StringIO()):  # a table of Paddle's own flags
            paddle.distributed.init_parallel_env()
    if device == "gpu":
        paddle.set_device(f"gpu:{paddle.distributed.ParallelEnv().device_id}")
    else:
        paddle.set_device("cpu")
        paddle.base.core.set_num_threads(max(1, machine.threads() // here))
    return rank, devices


def wait_for_first(what: str) -> None:
    """Wait until the first device has got here, too.

    In an exchange gloo gives up after 30 seconds, and judging can take longer.
    """
    import paddle

    rank, devices = rank_and_size()
    if devices == 1:
        return
    store = paddle.base.core.create_or_get_global_tcp_store()
    if rank:
        store.wait(what)
    else:
        store.set(what, b"done")
