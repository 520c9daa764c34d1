"""A phone over adb, played by scripts: what comes there, what runs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from runtimes.hosts.arm import Arm
from runtimes.hosts.phone import connected_phone
from runtimes.worker import Worker
from tests.runtimes import child
from tests.runtimes.played_phone import SERIAL, PlayedPhone

pytestmark = pytest.mark.skipif(Arm().problem() is not None, reason=str(Arm().problem()))


@pytest.fixture
def phone(tmp_path, monkeypatch, paddle_lite) -> PlayedPhone:
    return PlayedPhone(tmp_path / "phone", monkeypatch)


def test_what_it_is(phone):
    host = connected_phone()
    assert host.problem() is None
    assert (host.model, host.isa, host.label) == (
        "Acme One",
        ["asimd", "asimdhp"],
        f"phone-{SERIAL.replace(':', '-')}",
    )
    assert host.cores >= 1


def test_sessions_run_here(phone):
    with Worker("main", "echo", host=connected_phone()) as worker:
        value = np.arange(5, dtype=np.float32)
        np.testing.assert_array_equal(worker.call(child.echo, value=value), value)


def test_a_folder_comes_there_once(phone, tmp_path):
    folder = tmp_path / "SqueezeNet1_1" / "lite-arm" / "fp32"
    folder.mkdir(parents=True)
    (folder / "model.nb").write_bytes(b"one")
    host = connected_phone()
    there = host.bring(folder)
    assert there == f"{phone.folder}/SqueezeNet1_1-lite-arm-fp32"
    assert Path(there, "model.nb").read_bytes() == b"one"
    assert host.bring(folder) == there
    assert phone.pushed == ["model.nb"]
    (folder / "model.nb").write_bytes(b"two")
    assert host.bring(folder) == there
    assert Path(there, "model.nb").read_bytes() == b"two"


@pytest.mark.parametrize(
    ("sdk", "abi", "words"),
    [
        (34, "", "Acme One is no phone of arm64-v8a: it has none"),
        (34, "x86_64", "Acme One is no phone of arm64-v8a: it has x86_64"),
        (23, "arm64-v8a", "Acme One has an Android older than 7"),
    ],
)
def test_a_phone_that_will_not_do(phone, sdk, abi, words):
    phone.is_a(sdk=sdk, abi=abi)
    assert connected_phone().problem().startswith(words)


def test_no_phone_or_several(phone, monkeypatch):
    (phone.root / "devices").write_text("")
    with pytest.raises(UserError, match="no phone is connected; plug one in"):
        connected_phone()
    (phone.root / "devices").write_text(f"{SERIAL}\tdevice\nother\tdevice\n")
    with pytest.raises(UserError, match=f"2 phones are connected; choose: ANDROID_SERIAL={SERIAL}"):
        connected_phone()
    monkeypatch.setenv("ANDROID_SERIAL", SERIAL)
    assert connected_phone().label.endswith("played-5555")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="adb is not on this machine; install it"):
        connected_phone()


def test_a_phone_that_is_gone_is_a_sentence(phone):
    host = connected_phone()
    (phone.root / "bin" / "getprop").unlink()
    (phone.root / "adb.py").write_text("import sys; sys.exit('error: device not found')")
    assert host.problem() == "adb shell: it ended with status 1: error: device not found"
