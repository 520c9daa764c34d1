"""Training on two hosts, which are two loopback addresses here: together, apart, and gone."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from common.errors import UserError
from common.paths import ROOT
from models.state import read_state
from tests.conftest import assert_refused
from tests.training.test_train import SIDE, read_log, write_photos
from training.hosts import Hosts, addresses, find_hosts, meeting
from training.run_state import RunState

FIRST, SECOND = "127.0.0.2", "127.0.0.3"  # not 127.0.0.1, which Paddle's launcher refuses

# The command, on small crops, and without dropout, which would differ from device to device.
SCRIPT = f"""
import sys
from dataclasses import replace
sys.path.insert(0, {str(ROOT)!r})
from paddle import nn
import models.squeezenet
import training.train as train
from common.cli import run
from data.preprocess import Preprocess
models.squeezenet.published_dropout = lambda: nn.Dropout(0.0)
find_model, recipe = train.find_model, train.recipe
small = Preprocess(resize_short={SIDE}, crop={SIDE})
train.find_model = lambda name: replace(find_model(name), preprocess=small)
train.recipe = lambda name: replace(recipe(name), crop={SIDE})
run(train.main)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("colours"), train=4, val=2)


def free_port() -> int:
    """One with free ones after it, for now."""
    with socket.create_server(("", 0)) as found:
        return found.getsockname()[1]


def start(folder: Path, photos: Path, *arguments: object, own: str = "") -> subprocess.Popen:
    """The command on a host, in its own folder, with steps of 6 photos in all."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(SCRIPT)
    command = ["train.py", "--model", "SqueezeNet1_1", "--data", photos, "--out", "out"]
    command += ["--epochs", 3, "--lr", 0.01, *arguments]
    cores = sorted(os.sched_getaffinity(0))  # a host's are its own
    mine = {cores[(FIRST, SECOND).index(own) % len(cores)]} if own else set(cores)
    environment = {**os.environ, "GLOG_minloglevel": "2", "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=environment | ({"POD_IP": own} if own else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, mine),
    )


def test_two_hosts_learn_as_one_process_does_though_one_was_killed(photos, tmp_path):
    alone = start(tmp_path / "alone", photos, "--batch", 6)
    together = ["--batch", 3, "--hosts", f"{FIRST},{SECOND}", "--port", free_port()]
    folders = {FIRST: tmp_path / "first", SECOND: tmp_path / "second"}
    hosts = {own: start(folders[own], photos, *together, own=own) for own in folders}
    out = RunState(folders[FIRST] / "out")
    while not out.checkpoint.exists():
        assert hosts[FIRST].poll() is None, hosts[FIRST].communicate()
        time.sleep(0.01)
    family = psutil.Process(hosts[SECOND].pid).children(recursive=True)
    hosts[SECOND].kill()
    said = hosts[FIRST].communicate(timeout=120)
    assert hosts[FIRST].returncode == 1, said
    assert f"{SECOND} is gone from the training; if " in said[1]
    assert f"if out on {FIRST} has a checkpoint, the same command goes on" in said[1]
    assert "Traceback" not in "".join(said)
    assert not psutil.wait_procs(family, timeout=10)[1]
    hosts[SECOND].communicate()
    assert 1 <= len(read_log(out)) < 3

    hosts = {own: start(folders[own], photos, *together, "--resume", own=own) for own in folders}
    for own, host in hosts.items():
        said = host.communicate(timeout=120)
        assert host.returncode == 0, said
        assert f"{own} takes part; its logs: " in said[1]
        assert ("held-out top-1" in said[0]) is (own == FIRST)
    assert not (folders[SECOND] / "out").exists()

    assert not alone.wait(120), alone.communicate()
    expected = RunState(tmp_path / "alone" / "out")
    alone.communicate()
    assert read_log(out) == pytest.approx(read_log(expected), rel=1e-4)
    for name, value in read_state(out.last).items():
        np.testing.assert_allclose(value, read_state(expected.last)[name], rtol=1e-3, atol=1e-5)


# ---- the meeting ----


def meet(*about: dict, wait: float = 10.0) -> list[str]:
    """What hosts are told, each with what it is about."""
    port = free_port()

    def one(own: str, mine: dict) -> str:
        try:
            with meeting(Hosts((FIRST, SECOND), own, port), mine, wait) as peers:
                return f"met {', '.join(peer.address for peer in peers)}"
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, (FIRST, SECOND), about))


def test_hosts_that_are_about_the_same_meet():
    assert meet({"seed": 0, "lr": (1, 2)}, {"seed": 0, "lr": (1, 2)}) == [
        f"met {SECOND}",
        f"met {FIRST}",
    ]


def test_hosts_with_other_photos_are_told_so_everywhere():
    told = meet({"seed": 0, "photos": "a"}, {"seed": 0, "photos": "b"})
    assert told[0] == told[1]
    assert f"{SECOND} is about another training than {FIRST}: photos b not a; give" in told[0]


def test_a_host_that_does_not_come_is_named():
    [told] = meet({}, wait=0.3)
    assert re.match(rf"{SECOND} did not come to {FIRST}:\d+ within 0 s; type the same", told)


def test_a_first_host_that_is_not_there_is_named():
    hosts = Hosts((FIRST, SECOND), SECOND, free_port())
    with (
        pytest.raises(UserError, match=rf"found nobody at {FIRST}:\d+ within 0 s \(.*refused\)"),
        meeting(hosts, {}, wait=0.3),
    ):
        pass


def test_strangers_at_the_port_do_not_hinder_a_meeting():
    port, told = free_port(), []

    def first() -> None:
        with meeting(Hosts((FIRST, SECOND), FIRST, port), {}, 20) as peers:
            told.extend(peer.address for peer in peers)

    host = threading.Thread(target=first)
    host.start()
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"host": "10.9.9.9", "about": {}}\n'):
        with connect(port) as stranger:
            stranger.sendall(words)
            stranger.recv(1000)
    with meeting(Hosts((FIRST, SECOND), SECOND, port), {}, 20):
        host.join(20)
    assert told == [SECOND]


def connect(port: int) -> socket.socket:
    for _ in range(200):
        try:
            return socket.create_connection((FIRST, port))
        except ConnectionRefusedError:
            time.sleep(0.02)
    pytest.fail("nobody listens")


# ---- which hosts ----


def test_a_machine_finds_itself_in_the_list(monkeypatch):
    monkeypatch.delenv("POD_IP", raising=False)
    assert find_hosts(("198.51.100.1", SECOND), 1).own == SECOND
    with pytest.raises(
        UserError, match=r"none of the hosts 198.51.100.1,198.51.100.2 is this machine"
    ):
        find_hosts(("198.51.100.1", "198.51.100.2"), 1)
    with pytest.raises(UserError, match=f"both this machine; say which this is: POD_IP={FIRST}"):
        find_hosts((FIRST, SECOND), 1)
    monkeypatch.setenv("POD_IP", SECOND)
    assert find_hosts((FIRST, SECOND), 1).own == SECOND
    monkeypatch.setenv("POD_IP", "198.51.100.1")
    with pytest.raises(UserError, match=r"POD_IP=198.51.100.1 is none of the hosts"):
        find_hosts((FIRST, SECOND), 1)


def test_addresses_are_read_in_their_order():
    assert addresses("10.0.0.2, 10.0.0.1") == ("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hosts", "one,two"], ["--hosts", "'one' is not an IPv4 address"]),
        (["--hosts", "10.0.0.1"], ["--hosts", "'10.0.0.1' is one host"]),
        (["--hosts", "127.0.0.1,10.0.0.2"], ["127.0.0.1 is every host's own address"]),
        (
            ["--hosts", "198.51.100.1,198.51.100.2"],
            ["is this machine", "the same list on every host"],
        ),
        (["--hosts", "10.0.0.1,10.0.0.2", "--devices", "cpu:9"], ["12 photos", "18 devices"]),
    ],
)
def test_arguments_that_cannot_be(command, photos, arguments, words):
    program = ("training/train.py", "--model", "SqueezeNet1_1", "--data", photos)
    assert_refused(command(*program, *arguments), *words)
