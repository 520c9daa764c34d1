"""What commands say of arguments that cannot be: one sentence, before any work."""

import pytest

from tests.conftest import assert_refused

MODEL = ("--model", "SqueezeNet1_1")
FILES = (*MODEL, "--target", "onnx")


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("convert/export.py", (*MODEL, "--classes", "x"), "--classes: 'x' is not a whole number"),
        ("convert/export.py", (*MODEL, "--weights", "radnom"), "did you mean random?"),
        ("deploy/build.py", (*FILES, "--opset", "99"), "--opset: '99'"),
        ("deploy/calibrate.py", (*FILES, "--minutes", "x"), "--minutes: 'x' is not a number"),
        ("deploy/calibrate.py", (*FILES, "--minutes", "-1"), "--minutes: '-1'"),
        ("deploy/calibrate.py", (*FILES, "--calib-photos", "0"), "--calib-photos: '0'"),
        ("deploy/calibrate.py", (*FILES, "--calib", "cifra10"), "did you mean cifar10?"),
        ("deploy/validate.py", (*FILES, "--budget", "abc"), "--budget: 'abc' is not a number"),
        ("deploy/validate.py", (*FILES, "--classes", "-3"), "--classes: '-3'"),
        ("deploy/benchmark.py", (*FILES, "--limit", "nan"), "--limit: 'nan' is not a number"),
        ("deploy/evaluate.py", (*MODEL, "--photos", "many"), "--photos: 'many'"),
        ("deploy/matrix.py", ("--jobs", "0"), "--jobs: '0' is not a whole number"),
        ("deploy/phone.py", ("--only", "bnech"), "unknown 'bnech', did you mean bench"),
        ("deploy/phone.py", ("--limit", "soon"), "--limit: 'soon' is not a whole number"),
        ("training/adapt.py", (*MODEL, "--data", "cifar10", "--seed", "x"), "--seed: 'x'"),
        ("benchmarks/bench_calibration.py", ("--model", "VGG61"), "did you mean VGG16?"),
        ("benchmarks/bench_calibration.py", ("--rounds", "0"), "--rounds: '0'"),
    ],
)
def test_one_sentence(command, tmp_path, script, arguments, said):
    assert_refused(command(script, *arguments), said, f"(see python {script} --help)")
    assert not (tmp_path / "build").exists()


def test_a_precision_that_the_app_does_not_run(command):
    done = command("deploy/apk.py", "--precision", "fp61")
    assert_refused(done, "the app runs no precision 'fp61', did you mean fp16")
