import collections
import os
import pickle
import struct

import numpy as np
import pytest

from common.errors import UserError
from models.state import read_state, write_state
from tests.conftest import needs_shared

STATE = {
    "conv.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3),
    "conv.bias": np.array([0.5, -1.25], np.float32),
}


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def assert_same(state, expected=STATE):
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == np.float32
        np.testing.assert_array_equal(state[name], value)


def pickled(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


# ---- what is read ----


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_what_is_written_is_read_again_and_is_ones_own(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_state(path, STATE)
    state = read_state(path)
    assert_same({name: state[name] for name in STATE})
    for value in state.values():
        value += 1  # not a view into the file
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_the_same_arrays_give_the_same_bytes(tmp_path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_state(first, STATE)
    write_state(second, {name: np.asfortranarray(value) for name, value in STATE.items()})
    assert first.read_bytes() == second.read_bytes()
    write_state(second, {name: value.astype(">f4") for name, value in STATE.items()})
    assert first.read_bytes() == second.read_bytes()
    write_state(second, read_state(first))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_pickles_of_arrays_are_read(tmp_path, protocol):
    assert_same(read_state(pickled(tmp_path / "net.pdparams", STATE, protocol)))


def test_an_ordered_dict_fortran_order_and_big_endian_are_read(tmp_path):
    state = collections.OrderedDict(
        {
            "conv.weight": np.asfortranarray(STATE["conv.weight"]),
            "conv.bias": STATE["conv.bias"].astype(">f4"),
        }
    )
    assert_same(read_state(pickled(tmp_path / "net.pdparams", state)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_other_floats_become_float32(tmp_path, dtype, suffix):
    path = tmp_path / f"net{suffix}"
    write_state(path, {name: value.astype(dtype) for name, value in STATE.items()})
    state = read_state(path)
    assert_same({name: state[name] for name in STATE})


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_integers_and_scalars_stay_as_they_are(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_state(path, {"steps": np.array(7), "mask": np.array([True, False])})
    state = read_state(path)
    assert state["steps"].dtype == np.int64
    assert state["steps"].shape == ()
    assert state["steps"] == 7
    assert state["mask"].tolist() == [True, False]


def test_numpy_scalars_are_read(tmp_path):
    assert read_state(pickled(tmp_path / "a.pdparams", {"x": np.float32(1.5)}))["x"] == 1.5


def test_safetensors_bfloat16_becomes_float32(tmp_path):
    header = b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<HH", 0x3FC0, 0xC010))
    assert_same(read_state(path), {"x": np.array([1.5, -2.25], np.float32)})


@pytest.fixture(scope="module")
def paddle():
    return pytest.importorskip("paddle")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_is_read_without_its_bookkeeping(paddle, tmp_path, protocol):
    network = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    path = str(tmp_path / "net.pdparams")
    paddle.save(network.state_dict(), path, protocol=protocol)
    expected = {name: value.numpy() for name, value in network.state_dict().items()}
    assert_same(read_state(tmp_path / "net.pdparams"), expected)


def test_tensors_that_paddle_saves_with_their_names_are_read(paddle, tmp_path):
    # A dict that is not only tensors takes another way through paddle.save.
    tensor = paddle.to_tensor(STATE["conv.bias"])
    path = tmp_path / "net.pdparams"
    paddle.save({"conv.bias": tensor, "epoch": 3}, str(path))
    with pytest.raises(UserError, match="entry 'epoch' is a int, not an array"):
        read_state(path)
    paddle.save({"epoch": tensor, "conv": {"bias": tensor}}, str(path))
    with pytest.raises(UserError, match="entry 'conv' is a dict, not an array"):
        read_state(path)


def test_bfloat16_of_paddle_becomes_float32(paddle, tmp_path):
    tensor = paddle.to_tensor([1.5, -2.25]).astype("bfloat16")
    path = tmp_path / "net.pdparams"
    paddle.save({"x": tensor}, str(path))
    assert_same(read_state(path), {"x": np.array([1.5, -2.25], np.float32)})


def test_paddle_loads_what_is_written(paddle, tmp_path):
    path = tmp_path / "net.pdparams"
    write_state(path, STATE)
    assert_same({name: np.asarray(value) for name, value in paddle.load(str(path)).items()})


@pytest.mark.parametrize(
    "model", [pytest.param("SqueezeNet1_0", marks=needs_shared), "SqueezeNet1_1"]
)
def test_real_weights_are_read(weights, model):
    state = read_state(weights / f"{model}_pretrained.pdparams")
    assert len(state) == 52
    assert state["_conv9.weight"].shape == (1000, 512, 1, 1)
    assert all(value.dtype == np.float32 for value in state.values())


# ---- what is refused ----


class _Calls:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_by_name_and_does_nothing(tmp_path, protocol):
    mark = tmp_path / "it ran"
    value = {"conv.weight": _Calls(os.system, f"touch '{mark}'")}
    path = pickled(tmp_path / "net.pdparams", value, protocol)
    with pytest.raises(UserError, match=rf"{os.name}\.system.*arrays only") as error:
        read_state(path)
    assert str(path) in one_line(error)
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        _Calls(eval, "1"),
        _Calls(getattr, "", "join"),
        _Calls(__import__, "os"),
        _Calls(np.load, "other.npy"),
        _Calls(np.fromfile, "other"),
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array(["text"]),
        np.zeros(2, np.complex64),
        np.dtype("f4"),
        np.ndarray,
        {1, 2},
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_no_array_of_numbers_is_refused(tmp_path, value):
    with pytest.raises(UserError) as error:
        read_state(pickled(tmp_path / "net.pdparams", {"x": value}))
    one_line(error)


def test_an_array_is_no_key(tmp_path):
    with pytest.raises(UserError) as error:
        read_state(pickled(tmp_path / "net.pdparams", {"x": {np.float32(1): 1}}))
    one_line(error)


def test_another_codec_than_latin1_is_refused(tmp_path):
    path = tmp_path / "net.pdparams"
    path.write_bytes(b"\x80\x02}X\x01\x00\x00\x00xc_codecs\nencode\nX\x01\x00\x00\x00a"
                     b"X\x05\x00\x00\x00rot13\x86Rs.")  # fmt: skip
    with pytest.raises(UserError, match="the codec rot13"):
        read_state(path)


def test_flags_that_make_numbers_into_pointers_are_ignored(tmp_path):
    # numpy.dtype.__setstate__ with the flags of an object type, over bytes of the file's choice.
    honest = pickle.dumps({"x": np.full(4, 1.0)}, 2)
    state = b"K\x03X\x01\x00\x00\x00<"
    assert state in honest
    forged = honest.replace(
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t", b"J\xff\xff\xff\xff" * 2 + b"K?t"
    )
    assert forged != honest
    path = tmp_path / "net.pdparams"
    path.write_bytes(forged)
    assert_same(read_state(path), {"x": np.full(4, 1.0, np.float32)})


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_line(tmp_path, suffix, share):
    path = tmp_path / f"net{suffix}"
    write_state(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="is cut short or not a") as error:
        read_state(path)
    assert str(path) in one_line(error)


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_garbage_is_one_line_and_never_anything_else(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_state(path, STATE)
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for position in random.integers(0, len(content), 3):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        try:
            state = read_state(path)
            assert all(isinstance(value, np.ndarray) for value in state.values())
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - not every damage is refused
            refused += 1
    assert refused > 20  # the others had their damage in a value


@pytest.mark.parametrize(
    "instruction",
    [b"r\x00\x00\x00\x70", b"B\x00\x00\x00\x70", b"\x96" + struct.pack("<Q", 1 << 34)],
    ids=["memo", "bytes", "bytearray"],
)
def test_a_number_in_a_damaged_file_does_not_take_gigabytes(tmp_path, instruction):
    import resource

    path = tmp_path / "net.pdparams"
    path.write_bytes(b"\x80\x05]" + instruction)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
    with pytest.raises(UserError):
        read_state(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([STATE], "holds a list, not a state dict"),
        (STATE["conv.bias"], "holds a ndarray, not a state dict"),
        ({"x": None}, "entry 'x' is a NoneType"),
        ({"x\n\x1b[31m" * 50: None}, r"entry 'x  \[31mx.*…' is a NoneType"),
        ({7: STATE["conv.bias"]}, "entry '7'"),
        ({**STATE, "UnpackBigParamInfor@@": {}}, "saved in slices"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content, words):
    with pytest.raises(UserError, match=words):
        read_state(pickled(tmp_path / "net.pdparams", content))


def test_a_missing_file_a_folder_and_a_strange_suffix_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such weights file"):
        read_state(tmp_path / "absent.pdparams")
    with pytest.raises(UserError, match="no such weights file"):
        read_state(tmp_path)
    (tmp_path / "net.pth").touch()
    with pytest.raises(UserError, match=r"\.pdparams or \.safetensors"):
        read_state(tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"\.pdparams or \.safetensors"):
        write_state(tmp_path / "net.npz", STATE)
