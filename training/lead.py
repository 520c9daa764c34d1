"""A training on this host as one of several, which watch each other.

The hosts keep the connection of their meeting while Paddle's launcher works at the ports after it.
So a host that ends, or is gone, ends the training everywhere, with a sentence, whatever its devices
wait for.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from common import files, process
from common.console import say, shown
from common.errors import StepError
from common.sources import code_of
from common.version import VERSION
from runtimes.environments import MAIN
from training.hosts import ANSWER, Hosts, Peer, interface_of, meeting
from training.plan import Plan
from training.run_state import RunState
from training.team import launcher, logs_folder, variables

_LAUNCH_LOG, _FIRST_LOG = "launch.log", "workerlog.0"
_ERROR = "error: "  # the last line of a command that fails
_SIGNALS = 192  # from there on a status is a signal's number, less 256
_ABORT = 256 - signal.SIGABRT  # the status where gloo's own thread finds that a peer is gone
LOST = 75  # the status of a process whose peers are gone (sysexits.h: try again)


def lead(
    plan: Plan,
    run_state: RunState,
    hosts: Hosts,
    command: Sequence[str],
    device: str,
    *,
    resume: bool = False,
) -> int:
    """Train on this host, by a Python program that `command` names, together with the others.

    It runs as one process for each device here. Returns its status. UserError: the hosts did not
    meet. StepError, after all of it was ended here: another host ended, or is gone.
    """
    if hosts.is_first:  # it keeps for all
        if resume:
            run_state.read(plan)
        else:
            run_state.require_unused()
    about = {"toolkit": _toolkit(), "resume": resume, "device": device, **plan.identity}
    how = (
        f"if {shown(run_state.folder)} on {hosts.first} has a checkpoint, the same command goes on "
        "after it with --resume, on every host; else without"
    )
    with meeting(hosts, about) as peers:
        return _run(hosts, command, device, plan.devices // len(hosts.addresses), peers, how)


def _toolkit() -> str:
    """What trains: the toolkit, its code, and Paddle."""
    code = files.sha256_of(code_of("training.train:train"))
    return f"{VERSION} ({code[:8]}, paddlepaddle {MAIN.version('paddlepaddle')})"


@dataclass
class _Watch:
    """Paddle's launcher on this host, its first process' log, and the other hosts."""

    child: subprocess.Popen
    log: Path
    peers: list[Peer]
    ended: dict[str, int] = field(default_factory=dict)  # the status of hosts that said it
    _log: TextIO | None = None

    def until_the_end(self) -> int:
        """The launcher's status. StepError where another host ended badly, or is gone."""
        with selectors.DefaultSelector() as selector:
            for peer in self.peers:
                selector.register(peer.connection, selectors.EVENT_READ, peer)
            status, judged_at = None, float("inf")
            while True:
                for key, _ in selector.select(0.2):
                    self._listen(selector, key.data)
                self._echo()
                if status is None and (status := self.child.poll()) is not None:
                    self._echo()
                    # A peer's end may be why it ended; which one's is told within seconds.
                    judged_at = time.monotonic() + (ANSWER if status in (LOST, _ABORT) else 0.0)
                if status is not None and time.monotonic() >= judged_at:
                    return status

    def _listen(self, selector: selectors.BaseSelector, peer: Peer) -> None:
        try:
            message = peer.hear(ANSWER)
        except (OSError, ValueError):
            selector.unregister(peer.connection)
            if self.ended.get(peer.address) not in (0, LOST):
                raise StepError(f"{peer.address} is gone from the training") from None
            return
        if "lost" in message:
            raise StepError(str(message["lost"]))
        status = int(message.get("ended", 0))
        self.ended[peer.address] = status
        if status not in (0, LOST):
            raise StepError(
                f"the training on {peer.address} ended with status {status}; why is said there"
            )

    def _echo(self) -> None:
        """Say on this host what its first process says."""
        if self._log is None:
            if not self.log.exists():
                return
            self._log = self.log.open(errors="replace")
        lines = self._log.readlines()
        sys.stdout.writelines(line for line in lines if not line.startswith(_ERROR))
        sys.stdout.flush()


def _complain(own: str, status: int, logs: Path) -> None:
    """Repeat what the process said that ended the training here. StepError: it said nothing."""
    # There the launcher repeats the log of the process that failed, whichever that was.
    lines = (logs / _LAUNCH_LOG).read_text(errors="replace").splitlines()
    complaints = [line for line in lines if line.startswith(_ERROR)]
    if complaints:
        print(complaints[-1], file=sys.stderr)
        return
    signed = status - 256 if status > _SIGNALS else status  # the launcher's exit(-9) is 247
    how = process.ending(signed)
    if (logs / _FIRST_LOG).exists():
        raise StepError(f"a process of the training on {own} {how}; its logs, there: {logs}")
    line = process.first_line("\n".join(reversed(lines)))
    raise StepError(process.sentence(f"Paddle's launcher on {own}", how, line))


def _run(
    hosts: Hosts, command: Sequence[str], device: str, count: int, peers: list[Peer], how: str
) -> int:
    """Run a program as `count` processes; `how` to go on is said where that ends too early."""
    logs = logs_folder()
    more = ["--ips", ",".join(hosts.addresses), "--host", hosts.own]
    more += ["--start_port", str(hosts.port + 1)]
    environment = os.environ | variables(device)
    if interface := interface_of(hosts.own):
        # By the machine's name they would look for an address, which is often 127.0.1.1.
        environment = {
            "GLOO_SOCKET_IFNAME": interface,
            "NCCL_SOCKET_IFNAME": f"={interface}",
            **environment,
        }
    say(f"  {hosts.own} takes part; its logs: {logs}")
    with (Path(logs) / _LAUNCH_LOG).open("w") as said:
        child = process.start_group(
            launcher(count, command, logs, *more),
            env=environment,
            stdout=said,
            stderr=said,
            preexec_fn=lambda: process.end_with_parent(signal.SIGKILL),
        )
    status: int | None = None
    watch = _Watch(child, Path(logs) / _FIRST_LOG, peers)
    try:
        status = watch.until_the_end()
        if status == LOST:
            raise StepError("the hosts lost each other (a process is gone, or was silent for 30 s)")
        if status:
            _complain(hosts.own, status, Path(logs))
    except StepError as error:
        for peer in peers:
            peer.send(lost=str(error))
        raise StepError(f"{error}; {how}") from None
    except KeyboardInterrupt:
        for peer in peers:
            peer.send(lost=f"the training was interrupted on {hosts.own}")
        raise KeyboardInterrupt(f"interrupted; {how}") from None
    finally:
        process.end_group(child)
        if status is not None:
            for peer in peers:
                peer.send(ended=status)
    return status
