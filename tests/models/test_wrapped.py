"""Checkpoints as other people's training loops leave them: with prefixes, and nested."""

import pickle

import numpy as np
import pytest

from common.errors import UserError
from models.registry import MODELS
from models.state import read_state, write_state
from models.weights import find_weights, read_network
from tests.conftest import assert_refused

STATE = {
    **{f"block.{n}.weight": np.full((4, 4, 3, 3), n, np.float32) for n in range(6)},
    **{f"block.{n}.bias": np.full(4, n, np.float32) for n in range(6)},
    "fc.weight": np.ones((4, 7), np.float32),
    "fc.bias": np.arange(7, dtype=np.float32),
}
OPTIMIZER = {
    "conv2d_0.w_0_moment1_0": np.zeros((4, 4, 3, 3), np.float32),
    "LR_Scheduler": {"last_epoch": 7, "last_lr": 0.1},
}


OTHER = {name: np.zeros_like(value) for name, value in STATE.items()}


def under(prefix: str, state=STATE) -> dict:
    return {f"{prefix}{name}": value for name, value in state.items()}


def put(folder, value):
    path = folder / "net.pdparams"
    path.write_bytes(pickle.dumps(value, 4))
    return path


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (under("module."), "module"),
        (under("_layers."), "_layers"),
        (under("backbone."), "backbone"),
        (under("module.backbone."), "module/backbone"),
        (under("net:"), "net"),
        ({"state_dict": STATE}, "state_dict"),
        ({"model": STATE, "optimizer": OPTIMIZER, "epoch": 3}, "model"),
        ({"state_dict": under("module."), "best": 0.7, "args": {"lr": 0.1}}, "state_dict/module"),
        ({**under("Student."), "loss.scale": np.ones(1, np.float32)}, "Student"),
        ({"model": {k: (f"{k}_0", v) for k, v in STATE.items()}}, "model"),
    ],
)
def test_a_network_is_found_where_it_is_and_that_is_said(tmp_path, capsys, value, where):
    found = read_network(put(tmp_path, value), tell=True)
    assert list(found) == list(STATE)
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)
    assert f"net.pdparams: the network in it is {where};" in capsys.readouterr().err


def test_prefixes_in_safetensors(tmp_path):
    write_state(tmp_path / "net.safetensors", under("module."))
    assert set(read_network(tmp_path / "net.safetensors")) == set(STATE)


def test_a_plain_state_dict_is_taken_without_a_word(tmp_path, capsys):
    path = put(tmp_path, STATE)
    assert list(read_network(path, tell=True)) == list(read_state(path))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "names", "key"),
    [
        ({**under("Student."), **under("Teacher.", OTHER)}, "Student and Teacher", "Teacher"),
        ({**under("Student."), **under("Teacher.", OTHER)}, "Student and Teacher", "Teacher."),
        ({"model": STATE, "ema": under("module.", OTHER)}, "model and ema/module", "ema/module"),
        ({"model": STATE, "ema": under("module.", OTHER)}, "model and ema/module", "ema.module."),
        ({**STATE, **under("ema.", OTHER)}, r". and ema", "ema"),
        ({**OTHER, **under("ema.")}, r". and ema", "."),
    ],
)
def test_where_several_could_be_meant_the_user_says_which(tmp_path, capsys, value, names, key):
    path, last = put(tmp_path, value), names.split()[-1]
    with pytest.raises(UserError, match=f"holds several networks: {names}; .*KEY={last}$"):
        read_network(path)
    found = read_network(path, key, tell=True)
    assert set(found) == set(OTHER)
    assert not found["fc.bias"].any()
    assert f"its network {key.strip('.').replace('.', '/') or '.'} is taken" in (
        capsys.readouterr().err
    )
    with pytest.raises(UserError, match=f"no network 'teacher'; it holds {names}"):
        read_network(path, "teacher")


def test_a_key_is_refused_where_there_is_nothing_to_choose(tmp_path):
    with pytest.raises(UserError, match="no network 'Student'; leave WEIGHTS_KEY out"):
        read_network(put(tmp_path, STATE), "Student")
    with pytest.raises(UserError, match="WEIGHTS_KEY=Student names a network in a file"):
        find_weights(MODELS["VGG11"], "random", key="Student")


def test_what_holds_no_network_is_refused_as_ever(tmp_path):
    with pytest.raises(UserError, match="entry 'optimizer' is a dict, not an array"):
        read_network(put(tmp_path, {"optimizer": OPTIMIZER}))
    endless: dict = {}
    for _ in range(50):
        endless = {"deeper": endless}
    with pytest.raises(UserError, match="entry 'deeper' is a dict"):
        read_network(put(tmp_path, endless))


def test_export_takes_a_training_loops_checkpoint(command, weights, tmp_path):
    state = read_state(weights / "SqueezeNet1_1_pretrained.pdparams")
    path = put(tmp_path, {"state_dict": under("module.", state), "optimizer": OPTIMIZER})
    done = command("convert/export.py", "--model", "SqueezeNet1_1", "--weights", path)
    assert done.returncode == 0, done.stderr
    assert "net.pdparams: the network in it is state_dict/module; the rest" in done.stderr


def test_each_network_of_a_checkpoint_has_a_build_of_its_own(command, weights, tmp_path):
    state = read_state(weights / "SqueezeNet1_1_pretrained.pdparams")
    other = {name: value * 2 if name == "_conv9.bias" else value for name, value in state.items()}
    path = put(tmp_path, {**under("Student.", state), **under("Teacher.", other)})
    named = ("--model", "SqueezeNet1_1", "--weights", path)
    assert_refused(command("convert/export.py", *named), "several", "WEIGHTS_KEY=Teacher")
    done = command("convert/export.py", *named, "--weights-key", "Teacher")
    assert done.returncode == 0, done.stderr
    assert "net.pdparams: its network Teacher is taken" in done.stderr
    # The name is enough from now on, and the checkpoint has not changed since.
    done = command("convert/export.py", "--model", "SqueezeNet1_1-net-Teacher")
    assert done.returncode == 0, done.stderr
    assert "export " not in done.stderr
