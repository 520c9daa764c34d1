"""Which files which TensorRT's parser takes, as far as its recorded operators tell."""

import json

import onnx
import pytest
from onnx import TensorProto, helper

from common.errors import StepError, UserError
from convert import tensorrt_operators


@pytest.mark.parametrize(
    ("version", "parser", "opset"),
    [
        ("8.5.3", "8.5", 17),
        ("8.6.1.post1", "8.6", 17),
        ("9.2.0", "8.6", 17),
        ("10.0.1", "10.0", 20),
        ("10.9.0.34", "10.0", 20),
        ("10.16.1", "10.15", 24),
        ("11.4.0.106", "11.0", 25),
        ("12.0", "11.0", 25),
    ],
)
def test_the_newest_parser_that_is_not_newer(version, parser, opset):
    found = tensorrt_operators.parser_of(version)
    assert (found.version, found.opset) == (parser, opset)


def test_what_versions_learnt():
    known = {
        version: tensorrt_operators.parser_of(version).operators
        for version in ("8.5", "8.6", "11.0")
    }
    assert "LayerNormalization" in known["8.6"] - known["8.5"]
    assert "Gelu" in known["11.0"] - known["8.6"]
    assert known["8.5"] < known["8.6"] < known["11.0"]


def test_a_version_that_is_too_old():
    with pytest.raises(UserError, match=r"TensorRT 8\.4\.3 is too old"):
        tensorrt_operators.parser_of("8.4.3")


def test_the_table_names_operators_that_onnx_knows_and_each_once():
    rows = json.loads(tensorrt_operators._TABLE.read_text())
    names = [name for row in rows for name in row["added"]]
    assert len(names) == len(set(names))
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    # Early ONNX, which its table no longer has, and what came after the onnx that is installed.
    early = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}
    late = {"Attention", "RMSNormalization", "RotaryEmbedding", "Swish", "TensorScatter"}
    assert set(names) <= known | early | late


def save(path, nodes, opset=17):
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    return str(path)


def test_each_unsupported_operator_is_named_with_its_first_node(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "first"),
        helper.make_node("Unique", ["a"], ["b"], "second"),
        helper.make_node("Unique", ["b"], ["c"], "third"),
        helper.make_node("Relu", ["c"], ["logits"], domain="own"),
    ]
    with pytest.raises(StepError) as caught:
        tensorrt_operators.check(save(tmp_path / "model.onnx", nodes), "8.6.0")
    assert str(caught.value) == (
        "TensorRT 8.6's ONNX parser does not support Unique (node 'second' and 1 more), "
        "own::Relu (node 'logits')"
    )


def test_a_file_that_is_taken(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["logits"], "only")]
    file = save(tmp_path / "model.onnx", nodes, opset=18)
    assert tensorrt_operators.check(file, "10.0.1") == {"checked_for": "10.0", "opset": 18}
    with pytest.raises(UserError, match="opsets up to 17, not 18"):
        tensorrt_operators.check(file, "8.6.0")
