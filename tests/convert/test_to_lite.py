"""Paddle Lite's files hold the arithmetic that was asked for, or the step says what they hold."""

import pytest

from common.errors import StepError
from convert.to_lite import FILE, read_back, to_lite
from runtimes.environments import LITE
from tests.convert.test_lite_file import nb_bytes

lite_only = pytest.mark.skipif(LITE.problem() is not None, reason=f"Paddle Lite: {LITE.problem()}")

FLOAT = (b"conv2d/def/4/1/1", b"pool2d/def/4/1/1", b"feed/def/1/4/2")
HALF = (b"calib/fp32_to_fp16/4/5/1", b"conv2d/def/4/5/1", b"fc/def/4/5/1", b"gelu/def/4/1/1")
MIXED = (*HALF, b"conv2d/def/4/1/1")
INTEGER = (b"calib/fp32_to_int8/4/2/1", b"conv2d/fp32_out/4/2/1", b"fc/def/4/1/1")


def facts(tmp_path, kernels, precision, **options):
    path = tmp_path / FILE
    path.write_bytes(nb_bytes(kernels=kernels))
    return read_back(path, "arm", precision, "v2.14-rc", "toy", **options)


@pytest.mark.parametrize(
    ("kernels", "precision", "options"),
    [(FLOAT, "fp32", {}), (HALF, "fp16", {}), (INTEGER, "int8", {"layers_int8": 1})],
)
def test_what_was_asked_for_is_counted(tmp_path, kernels, precision, options):
    found = facts(tmp_path, kernels, precision, **options)
    assert found["layer_precisions"][precision] >= 1
    assert sum(found["kernel_precisions"].values()) == len(kernels)


@pytest.mark.parametrize(
    ("kernels", "precision", "options"),
    [
        (FLOAT, "fp16", {}),
        (MIXED, "fp16", {}),
        (HALF, "fp32", {}),
        ((*FLOAT, HALF[0]), "fp32", {}),
        (FLOAT, "int8", {"layers_int8": 1}),
        (INTEGER, "int8", {"layers_int8": 2}),
        ((*INTEGER, *HALF), "int8", {"layers_int8": 1}),
        (FLOAT[1:], "fp32", {}),
    ],
)
def test_another_arithmetic_than_was_asked_for_is_refused(tmp_path, kernels, precision, options):
    with pytest.raises(StepError, match=r"toy: its layers compute in .* was asked for"):
        facts(tmp_path, kernels, precision, **options)


@lite_only
def test_fp16_files_compute_in_fp16_and_fp32_files_in_fp32(graph):
    made = graph("SqueezeNet1_1")
    half, single = (to_lite(made, "arm", precision).facts for precision in ("fp16", "fp32"))
    assert half["layer_precisions"] == {"fp16": 26}
    assert single["layer_precisions"] == {"fp32": 26}
    assert half["kernel_precisions"]["fp16"] > 26
    assert "fp16" not in single["kernel_precisions"]


@lite_only
def test_biases_are_the_convolutions_own_and_the_logits_stay(graph):
    made = graph("SqueezeNet1_1")
    facts = [to_lite(made, hardware).facts for hardware in ("arm", "x86")]
    for one in facts:
        assert one["own_biases"] == 26
        # Without: 26 additions with a ReLU, and 26 reshapes of biases, more.
        assert one["operators"] == {
            **{"feed": 1, "conv2d": 26, "pool2d": 4, "concat": 8, "dropout": 1},
            **{"reshape2": 1, "fetch": 1},
        }
    assert facts[1]["probe_difference"] < 1e-5
