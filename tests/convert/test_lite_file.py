"""Reading `.nb` files: their header and kernels, and files that are none."""

import struct

import pytest

from convert import lite_file


def nb_bytes(version=b"v2.14-rc", form=2, kernels=(b"conv2d/def/4/1/1",), cut=None) -> bytes:
    topology = b"\x05".join((b"program", *kernels, b"end"))
    return (struct.pack("<H16sQ", form, version, len(topology)) + topology + b"weights")[:cut]


def read(tmp_path, content: bytes) -> lite_file.LiteFile:
    path = tmp_path / "model.nb"
    path.write_bytes(content)
    return lite_file.read(path)


def test_version_and_kernels_by_hardware(tmp_path):
    kernels = (b"conv2d/def/4/1/1", b"pool2d/def/4/1/1", b"feed/def/1/4/2", b"softmax/x/2/1/1")
    found = read(tmp_path, nb_bytes(kernels=kernels))
    assert found.version == "v2.14-rc"
    assert found.kernels == {"arm": 2, "host": 1, "x86": 1}


def test_kernels_by_precision_and_the_layers_apart(tmp_path):
    kernels = (
        *(b"conv2d/def/4/5/1", b"conv2d/def/4/5/1", b"fc/def/4/1/1", b"concat/def/4/4/1"),
        *(b"conv2d/int8_out/4/2/1", b"pool2d/def/4/1/1", b"calib/fp32_to_fp16/4/5/1"),
    )
    found = read(tmp_path, nb_bytes(kernels=kernels))
    assert found.precisions == {"fp16": 3, "fp32": 2, "any": 1, "int8": 1}
    assert found.layer_precisions == {"fp16": 2, "fp32": 1, "int8": 1}
    assert found.operators["conv2d"] == 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the header alone"),
        (nb_bytes(form=7), "format version 7"),
        (nb_bytes(cut=40), "cut short"),
    ],
)
def test_what_is_no_lite_file_is_said(tmp_path, content, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(tmp_path, content)
