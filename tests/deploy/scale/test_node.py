"""What a node does before it works: which toolkit and inputs it has, and what it is sent."""

import os
import subprocess
import sys

import pytest

from common.paths import ROOT
from deploy.scale import node


@pytest.fixture
def photos_here(tmp_path):
    folder = tmp_path / "driver" / "photos"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "1.jpg").write_bytes(b"a cat")
    (folder / "val_list.txt").write_text("cats/1.jpg 0\n")
    return folder, ["cats/1.jpg", "val_list.txt"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_lies_at_the_same_path_does_not_travel(photos_here):
    folder, names = photos_here
    digest = node.digest_of(folder, names)
    sheet = node.describe(str(ROOT), {digest: (str(folder), names)})
    assert sheet["toolkit"] == node.toolkit_digest(ROOT)
    assert sheet["inputs"] == {digest: str(folder)}


def test_what_a_node_lacks_or_has_otherwise_travels_once(photos_here, cache, tmp_path):
    folder, names = photos_here
    digest, archive = node.digest_of(folder, names), node.packed(str(folder), names)
    (folder / "cats" / "1.jpg").write_bytes(b"another cat, on the node")
    asked = {digest: (str(folder), names)}
    assert node.describe(str(ROOT), asked)["inputs"] == {digest: None}
    there = node.receive(digest, folder.name, names, archive)
    assert there.startswith(str(cache))
    assert node.digest_of(node.Path(there), names) == digest
    assert node.describe(str(ROOT), asked)["inputs"] == {digest: there}
    assert node.receive(digest, folder.name, names, b"is not even opened") == there


def test_what_arrives_damaged_is_not_kept(photos_here, cache):
    folder, names = photos_here
    digest = node.digest_of(folder, names)
    (folder / "cats" / "1.jpg").write_bytes(b"changed while it was packed")
    with pytest.raises(OSError, match="did not arrive as it was sent"):
        node.receive(digest, folder.name, names, node.packed(str(folder), names))
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_node_without_the_toolkit_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTAGE_ROOT", str(tmp_path))
    assert "make setup" in node.describe(str(ROOT), {})["problem"]


def test_another_toolkit_has_another_digest(tmp_path):
    for room in node._ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "one.py").write_text("x = 1\n")
    before = node.toolkit_digest(tmp_path)
    (tmp_path / "tests.py").write_text("x = 1\n")
    assert node.toolkit_digest(tmp_path) == before
    (tmp_path / "calib" / "one.py").write_text("x = 2\n")
    assert node.toolkit_digest(tmp_path) != before


def test_a_command_is_run_in_the_toolkits_own_environment(monkeypatch, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "say.py").write_text(
        "import os, sys\nprint(os.getcwd(), *sys.argv[1:])\nprint('no', file=sys.stderr)\nexit(3)\n"
    )
    monkeypatch.setenv("PORTAGE_ROOT", str(tmp_path))
    told = node.run_command("/no/such/root", ["say.py", "--data", "two words"])
    assert (told["status"], told["err"]) == (3, "no")
    assert told["out"] == f"{os.path.realpath(tmp_path)} --data two words\n"


def test_a_node_tells_which_jobs_it_runs():
    environment = os.environ | {"PORTAGE_JOB": "driver/7"}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=environment) as child:
        assert "driver/7" in node.jobs_here()
        child.stdin.close()
    assert "driver/7" not in node.jobs_here()
