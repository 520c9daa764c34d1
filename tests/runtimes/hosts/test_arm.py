"""ARM code on this machine: what is said where it cannot be executed, and that it is where it can.

What surrounds QEMU is tested with a stand-in; what needs the real root is skipped without it.
"""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from common.errors import StepError, UserError
from common.paths import ROOT
from runtimes import wheels
from runtimes.environments import LITE, MAIN
from runtimes.hosts import arm
from runtimes.hosts.arm import Arm
from runtimes.worker import DeadWorkerError, Worker
from tests.runtimes import child
from tests.runtimes.arm import fake_qemu, fake_root, program
from tests.runtimes.hosts.test_local import COMMAND, ended

needs_arm = pytest.mark.skipif(Arm().problem() is not None, reason=str(Arm().problem()))


@pytest.fixture
def host(tmp_path, monkeypatch) -> Arm:
    monkeypatch.setenv("PORTAGE_QEMU", str(fake_qemu(tmp_path)))
    return Arm(root=fake_root(tmp_path / "root"))


def test_a_root_that_is_whole_is_used(host):
    assert host.problem() is None
    assert host.isa == ["asimd", "asimddp"]
    value = np.arange(500_000, dtype=np.float32)
    with Worker("main", "echo", host=host) as worker:
        np.testing.assert_array_equal(worker.call(child.echo, value=value), value)


def test_without_a_root_the_command_is_named(host, tmp_path):
    assert Arm(root=arm.Root(tmp_path / "none")).problem() == (
        "the ARM64 root is not there yet; run: make setup-arm"
    )


def test_without_qemu_the_package_is_named(host, monkeypatch):
    monkeypatch.delenv("PORTAGE_QEMU")
    monkeypatch.setenv("PATH", "")
    assert "apt-get install qemu-user-static" in host.problem()
    with (
        pytest.raises(UserError, match="echo: qemu-aarch64-static"),
        Worker("main", "echo", host=host),
    ):
        pass
    monkeypatch.setenv("PORTAGE_QEMU", "/no/such/qemu")
    assert host.problem() == "PORTAGE_QEMU=/no/such/qemu is no program"


@pytest.mark.parametrize(
    "lost", ["made-from.json", "cpus/cortex-a76/proc/cpuinfo", "cpus/cortex-a76/usr/bin/python3.11"]
)
def test_a_damaged_root_is_not_used(host, tmp_path, lost):
    (tmp_path / "root" / lost).unlink()
    assert host.problem() == (
        "the ARM64 root in .arm is incomplete, or of other versions; run: make setup-arm"
    )


def test_a_root_of_other_versions_is_not_used(host, tmp_path, monkeypatch):
    lock = tmp_path / "arm.txt"
    lock.write_text("numpy==1.0\n")
    monkeypatch.setattr(wheels, "LOCK", lock)
    assert "of other versions" in host.problem()


def test_only_the_main_environment_has_a_counterpart(host):
    assert host.problem(MAIN) is None
    assert ".venv-lite" in host.problem(LITE)


def test_a_killed_emulator_is_an_error(host):
    with Worker("main", "onnx running a file", host=host) as worker:
        timer = threading.Timer(0.5, os.kill, (worker._child.process.pid, signal.SIGKILL))
        timer.start()
        with pytest.raises(DeadWorkerError) as caught:
            worker.call(child.sleep, seconds=60)
        timer.join()
    assert str(caught.value) == "onnx running a file: the tool was ended by SIGKILL"


def test_an_instruction_that_the_cpu_lacks_is_an_error(host, tmp_path):
    program(tmp_path / arm.QEMU, "#!/bin/sh\necho 'uncaught target signal 4' >&2\nkill -ILL $$\n")
    with Worker("main", "running", host=host) as worker, pytest.raises(StepError) as caught:
        worker.call(child.echo, value=1)
    assert str(caught.value) == "running: the tool was ended by SIGILL: uncaught target signal 4"


def test_limits_are_longer_than_on_real_hardware(host):
    started = time.monotonic()
    with Worker("main", "build", host=host) as worker, pytest.raises(StepError, match="within 2 s"):
        worker.call(child.sleep, limit=2 / host.patience, seconds=60)
    assert time.monotonic() - started < 30


@needs_arm
@pytest.mark.parametrize("cpu", arm.CPUS)
def test_arm_code_runs_and_sees_the_cpu_that_was_chosen(cpu):
    host = Arm(cpu)
    value = np.arange(500_000, dtype=np.float32)
    with Worker("main", "echo", host=host) as worker:
        assert worker.call("platform:machine") == "aarch64"
        seen = worker.call(child.cpuinfo)
        np.testing.assert_array_equal(worker.call(child.echo, value=value), value)
        folder = worker._child.log.parent
    assert arm.CPUS[cpu].part in seen
    assert ("asimddp" in seen) == ("asimddp" in host.isa) == (cpu != "cortex-a72")
    assert not folder.exists()


@needs_arm
def test_arm_code_ends_with_its_parent():
    code = COMMAND.replace('"computing"', '"computing", host=Arm()').replace(
        "from runtimes.worker", "from runtimes.hosts.arm import Arm\nfrom runtimes.worker"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline().split()[0])
    emulator = psutil.Process(pid)
    assert "qemu" in emulator.name()
    parent.kill()
    parent.communicate()
    assert ended(emulator)
