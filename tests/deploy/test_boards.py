"""`HOST=ssh:NAME`: targets judged on a board, and what cannot be is refused at once."""

import re
import sys

import numpy as np
import pytest

from common import files
from deploy.targets import TARGETS
from deploy.targets.base import on_host
from runtimes.hosts.ssh import Ssh
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec
from tests.conftest import assert_refused
from tests.deploy.test_validate import results
from tests.runtimes import ssh as stand_in
from tests.runtimes.ssh import NAME, make_keys, sshd

needs_sshd = pytest.mark.skipif(stand_in.problem() is not None, reason=str(stand_in.problem()))
ONE = ("deploy/validate.py", "--model", "SqueezeNet1_1", "--target", "onnx")
# ONNX Runtime, of a board that loses its power as soon as a file is opened.
DYING = """
import os, signal, time
__version__ = "0"
class SessionOptions: pass
def InferenceSession(*_, **__):
    status = open(f"/proc/{os.getppid()}/status").read()
    os.kill(int(status.partition("PPid:")[2].split()[0]), signal.SIGKILL)
    time.sleep(60)
"""


@pytest.fixture
def board(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    with sshd(tmp_path, make_keys(keys)) as running:
        yield running


@needs_sshd
def test_a_board_is_judged_as_this_machine_is(command, board, built, weights, photos):
    board.bring_packages()
    words = (
        *(*ONE, "--weights", weights, "--host", f"ssh:{NAME}", "--precision", "fp32"),
        *("--precision", "int8", "--data", photos(6), "--json"),
    )
    done = command(*words, BUILD_DIR=built, PORTAGE_SSH_CONFIG=board.config)
    found = results(done)
    host = Ssh(NAME)
    for precision, one in found.items():
        assert one["execution"] == "native", precision
        assert one["host"]["name"] == "ssh:board"
        assert one["host"]["isa"]
        assert one["data"]["images"] == 4
        assert "latency" not in one
    assert found["onnx", "fp32"]["verdict"] == "pass"
    reason = found["onnx", "int8"]["reason"]
    assert "; beside the same file on this machine's own CPU 0 of 4 decisions differ" in reason
    kept = built / "SqueezeNet1_1" / "results"
    for precision in ("fp32", "int8"):
        name = f"onnx-{precision}-{host.label}.json"
        assert files.read_json(kept / name) == found["onnx", precision]
    assert [name for name in board.left() if name.startswith(".")] == []


@needs_sshd
def test_a_connection_that_is_cut_decides_nothing(command, board, built, weights, photos):
    packages = board.bring_packages()
    packages.unlink()
    packages.mkdir()
    (packages / "onnxruntime.py").write_text(DYING)
    own = stand_in.Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        (packages / name).symlink_to(own / name)
    kept = built / "SqueezeNet1_1" / "results" / "onnx-fp32-ssh-board.json"
    kept.unlink(missing_ok=True)
    done = command(
        *(*ONE, "--weights", weights, "--host", f"ssh:{NAME}", "--precision", "fp32"),
        *("--data", photos(6), "--photos", "2"),
        BUILD_DIR=built,
        PORTAGE_SSH_CONFIG=board.config,
    )
    assert_refused(done, "onnx_runtime running ", "the connection to ssh:board broke", "; run it")
    assert not kept.exists()


@needs_sshd
def test_the_matrix_judges_on_a_board(command, board, built, weights, photos):
    board.bring_packages()
    done = command(
        *("deploy/matrix.py", "--model", "SqueezeNet1_1", "--weights", weights),
        *("--target", "onnx", "--precision", "fp32", "--host", f"ssh:{NAME}", "--data", photos(6)),
        BUILD_DIR=built,
        PORTAGE_SSH_CONFIG=board.config,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^SqueezeNet1_1 +pass *$", done.stdout, re.M)
    one = files.read_json(built / "SqueezeNet1_1" / "results" / f"onnx-fp32-{Ssh(NAME).label}.json")
    assert (one["host"]["name"], one["execution"]) == ("ssh:board", "native")


def doctor(command, board) -> tuple[int, dict[str, str], str]:
    """Its status, its table (what to the rest of the row), and its last line."""
    words = ("deploy/doctor.py", "--host", f"ssh:{NAME}")
    done = command(*words, PORTAGE_SSH_CONFIG=board.config, COLUMNS=200)
    assert done.stderr == ""
    title, _, *rows, _, last = done.stdout.splitlines()
    assert title.strip() == "ssh:board"
    table = dict(re.sub(r"  +", "  ", row.strip()).split("  ", 1) for row in rows)
    return done.returncode, table, last


@needs_sshd
def test_doctor_shows_what_a_board_has(command, board):
    status, table, last = doctor(command, board)
    assert (status, table["runtimes"]) == (0, "brought by the first run  ok")
    assert table["Python"].startswith(f"CPython {sys.version_info.major}.{sys.version_info.minor} ")
    assert re.match(r"[\d,]+ MB, for .*  ok$", table["free disk"])
    assert table["target onnx"].endswith("  ok")
    assert table["target lite-arm"].endswith("no: ssh:board is no 64-bit ARM")
    assert "target trt-t4" not in table
    assert last.endswith("HOST=ssh:board (all that is required is there)")
    board.bring_packages()
    assert doctor(command, board)[1]["runtimes"] == "there  ok"
    assert board.left()  # what was brought, and nothing of doctor's


@needs_sshd
@pytest.mark.parametrize(
    ("with_python", "programs", "what", "problem"),
    [
        (False, {}, "Python", "ssh:board has no Python on its path; install CPython 3.11"),
        (False, {"uname": "echo mips"}, "processor", "has a processor of kind mips"),
        (True, {"df": "echo; echo /dev/root 1000 990 10 99% /"}, "free disk", "free 500 MB there"),
    ],
)
def test_doctor_says_what_a_board_lacks(command, tmp_path, with_python, programs, what, problem):
    path = stand_in.bare_path(tmp_path / "bin", **programs)
    if with_python:
        path = f"{path}:{stand_in.own_path()}"
    (tmp_path / "keys").mkdir()
    with sshd(tmp_path, make_keys(tmp_path / "keys"), path=path) as board:
        status, table, last = doctor(command, board)
    assert status == 1
    assert "missing: " in table[what]
    assert problem in table[what]
    assert problem in last
    assert not any(name.startswith("target") for name in table)


@needs_sshd
def test_doctor_says_why_a_board_is_not_reached(command, board):
    board.configure(port=9)
    status, table, last = doctor(command, board)
    assert status == 1
    assert "missing: ssh:board cannot be reached: connect to " in table["reached"]
    assert last.startswith("Next: ssh:board cannot be reached")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "ssh:"], ["'ssh:' names no board: write ssh:NAME"]),
        (["--host", "ssh:-oProxyCommand=touch x"], ["names no board"]),
        (["--host", "ssh:a b"], ["names no board"]),
        (["--host", "shs:pi"], ["unknown 'shs:pi'", "ssh:NAME"]),
        (["--host", "ssh:pi", "--arm-cpu", "max"], ["--arm-cpu", "--host arm"]),
    ],
)
def test_what_names_no_board_is_refused(command, tmp_path, arguments, words):
    assert_refused(command(*ONE, *arguments), *words)
    assert not (tmp_path / "build").exists()


@needs_sshd
def test_a_board_that_is_off_is_refused_before_any_work(command, tmp_path):
    config = tmp_path / "config"
    config.write_text("Host pi\n  HostName 127.0.0.1\n  Port 9\n")
    done = command(*ONE, "--host", "ssh:pi", PORTAGE_SSH_CONFIG=config)
    assert_refused(done, "ssh:pi cannot be reached: connect to ", "try: ssh pi")
    assert not (tmp_path / "build").exists()


class ArmBoard(Ssh):
    isa = ("asimd", "asimdhp")


def test_a_board_is_native_and_takes_all_photos():
    host = Ssh("pi")
    native = SessionSpec(NATIVE, "session", photos=8)
    there = on_host(host, native, "fp32")
    assert (there.execution, there.host, there.photos) == (NATIVE, host, None)
    simulated = SessionSpec(SIMULATED, reason="no GPU")
    assert on_host(host, simulated, "fp32") is simulated
    for target in ("ncnn", "mnn"):
        half = TARGETS[target].session_spec_on(ArmBoard("pi"), "fp16")
        assert (half.execution, half.photos) == (NATIVE, None)


def test_each_board_has_files_of_its_own():
    names = ("pi", "user@10.0.0.5", "a:b", "a_b", "a%3Ab")
    labels = {Ssh(name).label for name in names}
    assert len(labels) == len(names)
    assert not any("/" in label or ":" in label for label in labels)
