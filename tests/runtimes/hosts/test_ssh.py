"""Boards over ssh: what runs there, what comes there, and a sentence for all that goes wrong."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from common import machine
from common.errors import StepError, UserError
from common.paths import ROOT
from deploy.targets import TARGETS
from runtimes import wheels
from runtimes.environments import LITE
from runtimes.hosts.arm import Arm
from runtimes.hosts.ssh import Ssh
from runtimes.session_pool import NATIVE, open_sessions
from runtimes.worker import DeadWorkerError, Worker
from tests.conftest import skipped_without_a_registry
from tests.convert.test_lite_file import nb_bytes
from tests.runtimes import ssh as stand_in
from tests.runtimes import stand_in as paddle_lite_stand_in
from tests.runtimes.hosts.test_local import COMMAND, ended
from tests.runtimes.ssh import NAME, bare_path, make_keys, sshd

pytestmark = pytest.mark.skipif(stand_in.problem() is not None, reason=str(stand_in.problem()))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def board_with(tmp_path, keys, monkeypatch):
    """Start a board with a path or a forced command of its own."""
    with contextlib.ExitStack() as stack:

        def start(**settings: str) -> stand_in.Sshd:
            board = stack.enter_context(sshd(tmp_path, keys, **settings))
            monkeypatch.setenv("PORTAGE_SSH_CONFIG", str(board.config))
            return board

        yield start


@pytest.fixture
def board(board_with):
    return board_with()


def error_of(call, *arguments, kind=UserError) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what runs there ----


def test_a_tool_runs_there(board):
    board.bring_packages()
    host = Ssh(NAME)
    assert host.problem() is None
    assert (host.name, host.kind, host.label) == ("ssh:board", "ssh", "ssh-board")
    assert host.isa == machine.isa()
    assert host.cores == machine.threads()
    assert host.model
    value = {"a": np.arange(500_000, dtype=np.float32), "b": [1, "two", None]}
    with Worker("main", "echo", threads=3, host=host) as worker:
        back = worker.call("copy:copy", x=value)
        there = psutil.Process(worker.call("os:getpid"))
        assert worker.call("os:getenvb", key=b"OMP_NUM_THREADS") == b"3"
        assert worker.call("os:getenv", key="HOME").startswith(str(board.parts))
        here = worker._child.log.parent
    np.testing.assert_array_equal(back["a"], value["a"])
    assert back["b"] == value["b"]
    assert ended(there)
    assert not here.exists()


def test_what_start_up_files_print_is_no_answer(board_with):
    board_with(force='echo hello; exec sh -c "$SSH_ORIGINAL_COMMAND"').bring_packages()
    with Worker("main", "echo", host=Ssh(NAME)) as worker:
        assert worker.call("copy:copy", x="back") == "back"


def test_wheels_are_fetched_here_and_unpacked_there_once(board, tmp_path, monkeypatch, capsys):
    text = wheels.LOCK.read_text()
    lock = tmp_path / "lock.txt"
    lock.write_text(text[text.index("numpy==") :].partition("    # via")[0].rstrip(" \\\n") + "\n")
    monkeypatch.setattr(wheels, "LOCK", lock)
    with skipped_without_a_registry(), Worker("main", "echo", host=Ssh(NAME)) as worker:
        where = worker.call("importlib.util:find_spec", name="numpy").origin
    assert where.startswith(f"{board.parts}/packages-")
    assert f"all that comes there is in {board.parts}" in capsys.readouterr().err
    assert not list(board.parts.glob("packages-*/*.whl"))
    monkeypatch.setattr(wheels, "fetch", None)
    with Worker("main", "echo", host=Ssh(NAME)) as worker:
        assert worker.call("copy:copy", x=1) == 1
    assert len(list(board.parts.glob("packages-*"))) == 1


def test_an_exception_there_keeps_its_name(board):
    board.bring_packages()
    with Worker("main", "load", host=Ssh(NAME)) as worker:
        said = error_of(lambda: worker.call("json:loads", s="{"), kind=StepError)
    assert said.startswith("load: JSONDecodeError: ")


def test_only_the_main_environment_has_a_counterpart():
    assert ".venv-lite" in Ssh(NAME).problem(LITE)


# ---- what comes there: no Python is needed ----


def test_files_come_there_once_by_their_content(board_with, tmp_path):
    board = board_with(path=bare_path(tmp_path / "bin"))
    folder = tmp_path / "model"
    (folder / "deep down").mkdir(parents=True)
    (folder / "a b.txt").write_text("one")
    (folder / "deep down" / "c").write_bytes(bytes(100_000))
    there = Ssh(NAME).bring(folder)
    assert there.startswith(f"{board.parts}/files-")
    found = stand_in.Path(there)
    assert (found / "a b.txt").read_text() == "one"
    assert (found / "deep down" / "c").read_bytes() == bytes(100_000)
    assert [path.name for path in found.glob(".*")] == []
    before = found.stat().st_ctime_ns
    same = shutil.copytree(folder, tmp_path / "again")
    assert Ssh(NAME).bring(same) == there
    assert found.stat().st_ctime_ns == before
    (same / "a b.txt").write_text("two")
    assert Ssh(NAME).bring(same) != there


def test_a_program_comes_there_and_runs(board_with, tmp_path):
    board_with(path=bare_path(tmp_path / "bin"))
    program = tmp_path / "say it"
    program.write_text('#!/bin/sh\ncat; printf "%s|" "$@"\n')
    program.chmod(0o755)
    host = Ssh(NAME)
    words = ["it's", 'a "test"', "$HOME", "", "é"]
    done = subprocess.run(
        host.command([host.bring(program), *words]), input=b"in ", capture_output=True, check=True
    )
    assert done.stdout.decode() == 'in it\'s|a "test"|$HOME||é|'


def test_what_a_killed_run_left_there_goes(board, tmp_path):
    left = board.parts / ".new.4194304"  # no process has so high a number
    left.mkdir(parents=True)
    (left / "half").touch()
    (tmp_path / "file").write_text("x")
    Ssh(NAME).bring(tmp_path / "file")
    assert not left.exists()


# ---- what goes wrong on the way ----


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda board: board.know(None),
            "its host key is not known yet; log in by hand once, and compare it: ssh board",
        ),
        (
            lambda board: board.know(board.keys / "stranger.pub"),
            "its host key is not the one it had; see: ssh board",
        ),
        (
            lambda board: board.configure("PubkeyAuthentication no\n"),
            "Permission denied (publickey); let it know your key: ssh-copy-id board",
        ),
        (
            lambda board: board.configure("Host board\n  HostName no-such-board.invalid\n"),
            "Could not resolve hostname no-such-board.invalid: ",
        ),
        (
            lambda board: board.configure("Host board\n  Port 9\n"),
            "port 9: Connection refused; see that it is on, and try: ssh board",
        ),
        (
            lambda board: board.config.write_text("NoSuchWord yes\n"),
            "ssh's settings are wrong; see: ssh",
        ),
        (lambda board: board.config.unlink(), "Can't open user config file"),
    ],
    ids=["key", "other key", "denied", "name", "refused", "settings", "no settings"],
)
def test_a_board_that_cannot_be_reached_says_why(board, change, sentence):
    change(board)
    problem = Ssh(NAME).problem()
    assert problem.startswith("ssh:board cannot be reached: ")
    assert sentence in problem
    assert "\n" not in problem
    assert board.left() == []


def test_without_a_client_it_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert Ssh(NAME).problem() == "ssh:board cannot be reached: ssh is not there"


@pytest.mark.skipif(Arm().problem() is not None, reason=str(Arm().problem()))
def test_paddle_lite_runs_on_a_board_without_python(board_with, tmp_path, monkeypatch, paddle_lite):
    """The board is said to be ARM: what is compiled for it starts QEMU there."""
    board_with(path=bare_path(tmp_path / "bin"))
    compiler = paddle_lite_stand_in.compiler(tmp_path / "g++", system=tmp_path)
    monkeypatch.setenv("PORTAGE_ARM_CXX", str(compiler))
    monkeypatch.setenv("PADDLE_LITE_ARM", str(paddle_lite))
    folder = tmp_path / "Toy" / "lite-arm" / "fp32"
    folder.mkdir(parents=True)
    (folder / "model.nb").write_bytes(nb_bytes())
    host, target = Ssh(NAME), TARGETS["lite-arm"]
    assert host.program_problem() is None
    assert "has no Python on its path" in TARGETS["onnx"].host_problem(host)
    assert target.host_problem(host) == "ssh:board is no 64-bit ARM"
    monkeypatch.setattr(Ssh, "isa", ["asimd"])
    assert target.host_problem(host) is None
    batch = np.random.default_rng(0).normal(size=(2, 3, 9, 700)).astype(np.float32)
    session_spec = target.session_spec_on(host, "fp32")
    with open_sessions(session_spec, folder, "fp32") as sessions:
        logits = sessions([batch], lambda done, total: None, 2)
    assert session_spec.execution == NATIVE
    np.testing.assert_allclose(logits, paddle_lite_stand_in.logits(batch), atol=1e-3)


PYTHON = 'echo "{} {} {} {}"'


@pytest.mark.parametrize(
    ("programs", "sentence"),
    [
        ({}, "has no Python on its path; install CPython 3.11, 3.12, 3.13 or 3.14 there"),
        ({"uname": "echo armv7l"}, "has a processor of kind armv7l, and runtimes are made for "),
        ({"python3": PYTHON.format("cpython", "3.9", True, "glibc-2.31")}, "has cpython 3.9 on"),
        ({"python3": PYTHON.format("pypy", "3.11", True, "glibc-2.31")}, "has pypy 3.11 on its"),
        ({"python3": PYTHON.format("cpython", "3.11", False, "glibc-2.36")}, "Python of 32 bits"),
        ({"python3": PYTHON.format("cpython", "3.12", True, "musl-1.2")}, "another C library"),
    ],
)
def test_a_board_that_will_not_do_says_why(board_with, tmp_path, programs, sentence):
    board = board_with(path=bare_path(tmp_path / "bin", **programs))
    assert sentence in Ssh(NAME).problem()
    said = error_of(Worker("main", "onnx of Toy", host=Ssh(NAME)).__enter__)
    assert said.startswith("onnx of Toy: ssh:board has ")
    assert board.left() == []


@pytest.mark.parametrize("force", ["echo no shell for you", "exec /bin/false"])
def test_what_is_no_linux_machine_says_so(board_with, force):
    board_with(force=force)
    assert "ssh:board" in Ssh(NAME).problem()


# ---- what goes wrong in the middle ----


@contextlib.contextmanager
def soon(action):
    """Let something happen while the block is busy."""
    timer = threading.Timer(0.3, action)
    timer.start()
    yield
    timer.join()


def test_a_connection_that_is_cut_is_no_fault_of_the_tool(board):
    board.bring_packages()
    with Worker("main", "onnx running a file", host=Ssh(NAME)) as worker:
        there = psutil.Process(worker.call("os:getpid"))
        with soon(board.cut):
            said = error_of(lambda: worker.call("signal:pause"))
        here = worker._child.log.parent
    assert said.startswith("onnx running a file: the connection to ssh:board broke")
    assert said.endswith("; run it again")
    assert ended(there)
    assert not here.exists()


def test_a_tool_that_is_killed_there_is_an_error_of_its_own(board):
    board.bring_packages()
    with Worker("main", "onnx running a file", host=Ssh(NAME)) as worker:
        there = psutil.Process(worker.call("os:getpid"))
        with soon(there.kill):
            said = error_of(lambda: worker.call("signal:pause"), kind=DeadWorkerError)
    assert said == "onnx running a file: the tool was ended by SIGKILL"


def test_a_tool_that_ends_there_says_how(board):
    board.bring_packages()
    host = Ssh(NAME)
    with Worker("main", "build", host=host) as worker:
        said = error_of(lambda: worker.call("os:_exit", status=3), kind=DeadWorkerError)
    assert said == "build: the tool ended with status 3"
    with Worker("main", "build", host=host) as worker:
        said = error_of(lambda: worker.call("os:abort"), kind=DeadWorkerError)
    assert said == "build: the tool was ended by SIGABRT"


def test_a_hang_ends_at_the_limit_there_too(board):
    board.bring_packages()
    with Worker("main", "build", host=Ssh(NAME)) as worker:
        there = psutil.Process(worker.call("os:getpid"))
        said = error_of(lambda: worker.call("signal:pause", limit=0.5), kind=StepError)
        assert said.startswith("build: no answer within ")
        assert ended(there)


def test_it_ends_with_its_parent(board):
    board.bring_packages()
    code = COMMAND.replace('"computing")', '"computing", host=Ssh("board"))')
    code = code.replace("child.pid", '"os:getpid"').replace("child.hold_the_lock", '"signal:pause"')
    code = code.replace("from tests.runtimes import child", "from runtimes.hosts.ssh import Ssh")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    there = psutil.Process(int(parent.stdout.readline().split()[0]))
    (here,) = (one for one in psutil.Process(parent.pid).children() if one.name() == "ssh")
    parent.kill()
    parent.communicate()
    assert ended(here)
    assert ended(there)


def test_packages_that_are_damaged_there_are_named(board):
    packages = board.bring_packages()
    packages.unlink()
    packages.mkdir()
    said = error_of(Worker("main", "onnx of Toy", host=Ssh(NAME)).__enter__)
    assert said.startswith("starting Python on ssh:board: it ended with status 1: ModuleNotFound")
    assert said.endswith(f"; if files are lost there, remove {board.parts}")


def test_a_connection_that_is_cut_while_copying_leaves_nothing_there(board, tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(200 << 20)

    def cut() -> None:
        while not list(board.parts.glob(".new.*/large")):
            time.sleep(0.01)
        board.cut()

    host = Ssh(NAME)
    assert host.problem() is None
    cutting = threading.Thread(target=cut)
    cutting.start()
    said = error_of(host.bring, large)
    cutting.join()
    assert said.startswith("copying large to ssh:board: the connection to ssh:board broke")
    deadline = time.monotonic() + 20
    while board.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert board.left() == []


def test_a_full_disk_there_is_named_and_nothing_is_left(board_with, tmp_path):
    """Each session gets a small disk, and says afterwards what is left on it."""
    there, left = tmp_path / "there", tmp_path / "left"
    there.mkdir()
    small = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m tmpfs {there} || exit 77"
    if subprocess.run([*small, mount], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    script = tmp_path / "session"
    script.write_text(
        f'{mount}\nsh -c "$SSH_ORIGINAL_COMMAND"\nstatus=$?\n'
        f"ls -A {there}/* > {left}\nexit $status\n"
    )
    board_with(force=f"exec unshare --mount --map-root-user sh {script}")
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    host = Ssh(NAME)
    assert error_of(host.bring, tmp_path / "large") == (
        "copying large to ssh:board: the disk of ssh:board is full; free some of it, and run it "
        "again"
    )
    assert left.read_text() == ""
    (tmp_path / "small").write_bytes(bytes(1 << 10))
    host.bring(tmp_path / "small")
    assert left.read_text().startswith("files-")


def test_a_file_that_is_lost_here_is_no_fault_of_the_board(board, tmp_path):
    with pytest.raises(FileNotFoundError, match="lost"):
        Ssh(NAME).bring(tmp_path / "lost")
    assert board.left() == []
