"""Children on this machine: started from any folder, and gone with their parent."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from common import machine
from common.paths import ROOT
from runtimes.environments import LITE
from runtimes.hosts.local import LOCAL
from runtimes.worker import Worker
from tests.runtimes import child

# Tells its worker's process and folder, and lets it compute without end, in C.
COMMAND = """
from common.cli import run
from runtimes.worker import Worker
from tests.runtimes import child

def main():
    with Worker("main", "computing") as worker:
        print(worker.call(child.pid), worker._child.log.parent, flush=True)
        worker.call(child.hold_the_lock)

run(main)
"""

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def heed_all_signals() -> None:
    """A job in the background may have been started to ignore some."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def computing():
    """A command whose worker computes: the command, the worker's process, the shared folder."""
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_all_signals,
    )
    pid, folder = command.stdout.readline().split(maxsplit=1)
    yield command, psutil.Process(int(pid)), Path(folder.strip())
    command.kill()
    command.communicate()


def ended(process: psutil.Process) -> bool:
    """Whether it does nothing any more; a zombie waits for init only."""
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):  # it may go between two questions
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def test_it_says_what_it_is():
    assert LOCAL.name == "local"
    assert LOCAL.isa == machine.isa()
    assert LOCAL.cores == machine.threads()
    assert LOCAL.model == machine.cpu()


@pytest.mark.parametrize("number", ENDING)
def test_a_command_that_is_ended_leaves_nothing(computing, number):
    command, worker, folder = computing
    assert folder.is_dir()
    command.send_signal(number)
    said = command.communicate(timeout=60)[1]
    assert command.returncode == 130
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert ended(worker)
    assert not folder.exists()


def test_a_killed_command_takes_its_worker_along_and_the_next_one_cleans_up(computing):
    command, worker, folder = computing
    command.kill()
    command.wait()
    assert ended(worker)
    assert folder.is_dir()
    code = "from runtimes.worker import Worker\nwith Worker('main', 'next'): pass"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert not folder.exists()


def test_cleaning_up_spares_what_is_in_use(computing):
    _, worker, folder = computing
    code = "from runtimes.worker import Worker\nwith Worker('main', 'next'): pass"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert folder.is_dir()
    assert worker.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "environment",
    [
        "main",
        pytest.param(
            "lite", marks=pytest.mark.skipif(LITE.problem() is not None, reason=str(LITE.problem()))
        ),
    ],
)
def test_a_checkout_may_lie_anywhere(tmp_path, environment):
    checkout = tmp_path / 'my repo\'s $HOME "x"; // é'
    for room in ("common", "runtimes", "tests/runtimes"):
        shutil.copytree(ROOT / room, checkout / room)
    for folder in (".venv", LITE.folder):
        (checkout / folder).symlink_to(ROOT / folder)
    code = (
        "import json, sys\n"
        "from runtimes.worker import Worker\n"
        f"with Worker({environment!r}, 'looking around') as worker:\n"
        "    print(json.dumps(worker.call('tests.runtimes.child:where')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [str(checkout), str(checkout / "tests/runtimes/child.py")]


def test_the_users_variables_reach_a_child(monkeypatch):
    monkeypatch.setenv("TOY", 'it\'s "$HOME" // é')
    with Worker("main", "reading") as worker:
        assert worker.call(child.variable, name="TOY") == 'it\'s "$HOME" // é'
        assert worker.call(child.variable, name="FLAGS_enable_pir_api") == "0"
