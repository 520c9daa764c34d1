"""Reading `.nb` files: their header and kernels, and files that are none."""

import struct

import pytest

from convert import nb


def lite_file(version=b"v2.14-rc", form=2, kernels=(b"conv2d/def/4/1/1",), cut=None) -> bytes:
    topology = b"\x05".join((b"program", *kernels, b"end"))
    return (struct.pack("<H16sQ", form, version, len(topology)) + topology + b"weights")[:cut]


def read(tmp_path, content: bytes) -> nb.LiteFile:
    path = tmp_path / "model.nb"
    path.write_bytes(content)
    return nb.read(path)


def test_version_and_kernels_by_hardware(tmp_path):
    kernels = (b"conv2d/def/4/1/1", b"pool2d/def/4/1/1", b"feed/def/1/4/2", b"softmax/x/2/1/1")
    found = read(tmp_path, lite_file(kernels=kernels))
    assert found.version == "v2.14-rc"
    assert found.kernels == {"arm": 2, "host": 1, "x86": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the header alone"),
        (lite_file(form=7), "format version 7"),
        (lite_file(cut=40), "cut short"),
    ],
)
def test_what_is_no_lite_file_is_said(tmp_path, content, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(tmp_path, content)
