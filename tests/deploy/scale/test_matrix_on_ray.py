"""`make matrix RAY=…` on two real nodes of this machine, one of which is killed while it works."""

import json
import os
import subprocess
import sys

import pytest

from common.paths import ROOT
from deploy.scale.run import _Journal
from runtimes.environments import RAY
from tests.conftest import assert_refused

MODEL = "SqueezeNet1_1"
pytestmark = pytest.mark.skipif(RAY.problem() is not None, reason=f"Ray: {RAY.problem()}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes, and a head; "kill" on its standard input ends the second node. `auto` is this
    cluster, whatever else runs on the machine."""
    folder = tmp_path_factory.mktemp("nodes")
    with subprocess.Popen(
        [RAY.python, ROOT / "tests" / "deploy" / "scale" / "two_nodes.py", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    ) as child:
        for line in child.stdout:
            if ":" in line:
                break
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_ADDRESS", line.strip())
            yield child
        child.stdin.write("end\n")
        child.stdin.close()
        child.wait(timeout=60)


def test_a_killed_nodes_cell_is_run_again_and_what_nobody_offers_is_unavailable(
    cluster, command, session_command, weights, photos, tmp_path
):
    four = photos(4)
    words = ("--model", MODEL, "--weights", weights, "--data", four, "--precision", "fp32")
    targets = ("--target", "onnx", "--target", "openvino", "--target", "trt-v100")
    build = tmp_path / "driver"
    settings = os.environ | {"BUILD_DIR": str(build)}
    with subprocess.Popen(
        [
            *(sys.executable, "deploy/matrix.py", *words, *targets),
            *("--ray", "auto", "--ray-wait", "5"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=settings,
    ) as driver:
        said = []
        for line in driver.stderr:
            said.append(line)
            if " of 3 " in line:  # the card that nobody offers: the others have begun
                cluster.stdin.write("kill\n")
                cluster.stdin.flush()
                break
        out, rest = driver.communicate(timeout=500)
    err = "".join(said) + rest
    assert driver.returncode == 3, err
    assert err.count(": 1 processors") == 2, err
    assert err.count("is left out: it offers no processor") == 1, err  # the head
    assert "trt-v100-fp32: unavailable: no node offered accelerator_type:V100 within 5 s" in err
    first = {
        line.rsplit(" on ", 1)[1].split(";")[0] for line in err.splitlines() if "pass, " in line
    }
    assert len(first) == 1, err  # the node that is left did both
    assert f"{MODEL} trt-v100-fp32 is unavailable" in out
    assert not (build / "matrix-on-ray.json").exists()

    # What came back is what this machine finds.
    alone = command("deploy/validate.py", *words, "--target", "onnx", "--json")
    assert alone.returncode == 0, alone.stderr
    here = json.loads(alone.stdout)
    [kept] = [
        one
        for path in (build / MODEL / "results").glob("*.json")
        if (one := json.loads(path.read_text()))["target"] == "onnx"
    ]
    for name in ("verdict", "files", "data", "drift", "measured", "reference", "weights"):
        assert kept.get(name) == here.get(name), name


def test_without_a_cluster_or_with_two_ways_at_once_it_is_a_sentence(command, weights, photos):
    words = ("--model", MODEL, "--weights", weights, "--data", photos(4), "--target", "onnx")
    for arguments, said in (
        (("--ray", "10.0.0.1"), "is no cluster: auto or ray://HOST:PORT"),
        (("--ray", "auto", "--jobs", "2"), "leave it out, Ray knows its nodes"),
        (("--ray", "ray://127.0.0.1:9"), "no Ray cluster answers at ray://127.0.0.1:9"),
    ):
        assert_refused(command("deploy/matrix.py", *words, *arguments), said)


def test_a_run_that_was_ended_goes_on_from_what_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("BUILD_DIR", str(tmp_path))
    journal = _Journal("these jobs")

    class Job:
        name = f"{MODEL} onnx-fp32"

    assert journal.found(Job) is None
    journal.add(Job, [])
    assert _Journal("these jobs").found(Job) == []
    assert _Journal("other jobs").found(Job) is None
