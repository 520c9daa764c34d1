"""Where runs are read from: the build folder, another one, a file of results; and what is none."""

import json

import pytest

from common.errors import UserError
from common.strict_json import encode
from deploy.reports.runs import anchor, as_json_lines, column, results_here, results_in, tools
from deploy.verdict import result
from deploy.verdict.result import Environment, Host
from tests.deploy.verdict.results import a_result


def emulated(cpu: str):
    return a_result(
        host=Host(name="arm", isa=("asimd",)),
        execution="emulated",
        environment=Environment(cpu=f"{cpu}, executed by QEMU 7.2.22 on a CPU"),
    )


def test_columns_stand_in_the_order_of_targets_and_precisions():
    shuffled = [
        a_result(target="openvino"),
        a_result(precision="int8"),
        a_result(target="paddle"),
        a_result(),
    ]
    assert [str(one) for one in sorted(map(column, shuffled))] == [
        *("paddle fp32", "onnx fp32", "onnx int8", "openvino fp32"),
    ]


def test_hosts_and_emulated_cpus_are_columns_of_their_own():
    there = [a_result(), emulated("cortex-a72"), emulated("cortex-a76")]
    assert [str(column(one)) for one in there] == [
        *("onnx fp32", "onnx fp32 arm cortex-a72", "onnx fp32 arm cortex-a76"),
    ]
    assert len({anchor(one) for one in there}) == 3


def test_another_run_is_a_build_folder_or_one_build_or_a_file(build_folder):
    ones = [a_result(), a_result(precision="fp16")]
    for one in ones:
        result.write(one)
    lines = build_folder / "results.json"
    lines.write_text(as_json_lines(ones))
    whole = build_folder / "list.json"
    whole.write_text(json.dumps([encode(one) for one in ones]))
    build = build_folder / ones[0].name
    for place in (build_folder, build, build / "results", lines, whole):
        assert results_in(place) == ones == results_here([ones[0].name])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "no file of results: not JSON"),
        ("[1]", "no file of results"),
        ("", "no file of results: not JSON"),
        (json.dumps(encode(a_result()) | {"schema": 1}), "schema is 1, not 2"),
        (json.dumps(encode(a_result()) | {"verdict": "fine"}), "verdict is 'fine'"),
        ("\xff\xfe", "no file of results"),
    ],
)
def test_a_file_without_results_is_named(tmp_path, text, said):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        results_in(path)
    assert "r.json" in str(caught.value)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no results; name a build folder"):
        results_in(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        results_in(tmp_path / "absent")


def test_one_file_of_a_folder_that_is_none_is_left_out_and_said(build_folder, capsys):
    result.write(a_result())
    (build_folder / a_result().name / "results" / "x.json").write_text("{")
    assert results_in(build_folder) == [a_result()]
    assert "left out" in capsys.readouterr().err


def test_tools_are_listed_with_every_version():
    newer = a_result(environment=Environment(versions={"onnxruntime": "2.0"}))
    assert tools([a_result(), newer]) == ["onnxruntime 1.0, 2.0", "toolkit 0.1.0"]
