"""`HOST=ssh:NAME`: targets judged on a board, and what cannot be is refused at once."""

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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "ssh:"], ["'ssh:' names no board: write ssh:NAME"]),
        (["--host", "ssh:-oProxyCommand=touch x"], ["names no board"]),
        (["--host", "ssh:a b"], ["names no board"]),
        (["--host", "shs:pi"], ["unknown 'shs:pi'", "ssh:NAME"]),
        (["--host", "ssh:pi", "--arm-cpu", "max"], ["--arm-cpu", "HOST=arm"]),
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
