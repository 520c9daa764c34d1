"""The comparison of calibration methods: its table, its file, and what it refuses."""

import json
import re

from tests.conftest import assert_refused

SCRIPT = "benchmarks/bench_methods.py"


def test_a_methods_agreement_stands_in_the_table_and_in_the_file(
    command, photos, weights, tmp_path
):
    done = command(
        *(SCRIPT, "--model", "SqueezeNet1_1", "--data", photos(12), "--weights", weights),
        *("--splits", "3", "--part", "1", "--target", "onnx", "--method", "mse"),
        *("--in-float", "1"),
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "build" / "bench_methods.json").read_text())["rows"]
    assert (row["model"], row["target"], row["method"]) == ("SqueezeNet1_1", "onnx", "mse")
    assert row["part"] == 1
    assert row["agree"] in {100 * right / 8 for right in range(5, 9)}
    assert row["times"]["pass"] > 0
    (layer,) = row["in_float"]
    assert f"%, in float: {layer}\n" in done.stderr
    assert re.search(rf"SqueezeNet1_1 +mse +{row['agree']:.1f}\n", done.stdout)


def test_a_division_that_leaves_no_photos_is_refused(command):
    assert_refused(command(SCRIPT, "--splits", "1"), "one part cannot calibrate and judge")
    assert_refused(command(SCRIPT, "--part", "3"), "there is no part 3", "0 to 2")
