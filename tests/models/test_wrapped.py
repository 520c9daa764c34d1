"""Checkpoints as other people's training loops leave them: with prefixes, and nested."""

import pickle

import numpy as np
import pytest

from common.errors import UserError
from models.state import read_state, write_state
from models.weights import read_network

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
    ("value", "names"),
    [
        ({**under("Student."), **under("Teacher.")}, "Student and Teacher"),
        ({"state_dict": STATE, "ema": under("module.")}, "state_dict and ema/module"),
    ],
)
def test_where_several_could_be_meant_the_user_says_which(tmp_path, value, names):
    with pytest.raises(UserError, match=f"net.pdparams holds several networks: {names}; save the"):
        read_network(put(tmp_path, value))


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
