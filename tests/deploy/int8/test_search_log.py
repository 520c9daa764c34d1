"""What a killed search leaves is used again, by a search with the same inputs and code only."""

import pytest

from calib.quant_config import QuantConfig
from deploy.int8.search import Search
from deploy.int8.search_log import SearchLog
from deploy.targets.onnx import Onnx
from deploy.targets.openvino import OpenVino

FACTS = {"graph": "abc", "tools": {"onnxruntime": "1"}}
CODE = (Search, Onnx)


@pytest.fixture
def left(tmp_path):
    path = tmp_path / "attempts.json"
    SearchLog(path, FACTS, CODE).keep_result(QuantConfig("mse"), {"drift": 1})
    return path


def test_the_same_search_goes_on(left):
    assert SearchLog(left, FACTS, CODE).result(QuantConfig("mse")) == {"drift": 1}
    assert SearchLog(left, FACTS, CODE).result(QuantConfig("minmax")) is None


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (FACTS | {"graph": "abd"}, CODE),
        (FACTS | {"tools": {"onnxruntime": "2"}}, CODE),
        (FACTS, (Search, OpenVino)),
    ],
)
def test_another_one_starts_anew(left, facts, code):
    assert SearchLog(left, facts, code).result(QuantConfig("mse")) is None
