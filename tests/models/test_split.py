"""What lies beside a checkpoint: which photos trained it."""

import hashlib
import json

import pytest

from common.errors import UserError
from models.registry import find_model
from models.split import read_split, split_beside
from models.weights import find_weights
from tests.splits import write_split

HASHES = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(20)]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "net.pdparams"
    path.write_bytes(b"weights")
    return path


def weights(checkpoint):
    return find_weights(find_model("VGG11"), str(checkpoint))


def test_what_is_written_is_read(checkpoint):
    path = write_split(checkpoint, HASHES[:15], HASHES[15:])
    assert path.name == "net.split.json"
    split = split_beside(weights(checkpoint))
    assert split.training.known.has(HASHES).sum() == 15
    assert split.held_out.known.has(HASHES[15:]).all()
    assert str(split.result).startswith("80.0% (95 % interval 37.6% to 96.4%, 4 of 5 photos)")


def test_without_one_nothing_is_known(checkpoint):
    assert split_beside(weights(checkpoint)) is None
    assert split_beside(find_weights(find_model("VGG11"), "random")) is None


def test_a_copy_without_it_is_known_by_its_content(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path))
    write_split(checkpoint, HASHES)
    (tmp_path / "broken.split.json").write_text(hashlib.sha256(b"weights").hexdigest())
    copy = tmp_path / "elsewhere" / "copy.pdparams"
    copy.parent.mkdir()
    copy.write_bytes(checkpoint.read_bytes())
    assert split_beside(weights(copy)).training.known.has(HASHES).all()
    assert "those of the same checkpoint under another name" in capsys.readouterr().err
    copy.write_bytes(b"other weights")
    assert split_beside(weights(copy)) is None


def test_of_another_checkpoint_is_refused(checkpoint):
    write_split(checkpoint, HASHES)
    checkpoint.write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"net\.split\.json is of another checkpoint .* remove it"):
        split_beside(weights(checkpoint))


def test_one_that_a_text_editor_cut_is_refused(checkpoint):
    path = write_split(checkpoint, HASHES)
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"net\.split\.json is damaged \(not JSON, or cut short"):
        read_split(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("photos", 19, "contents has 20 photos, not 19"),
        ("contents", "AAAA", "contents: it holds 3 bytes"),
        ("contents", "!", "contents: it is not in base64"),
        ("contents", None, "training.contents is null"),
    ],
)
def test_sets_that_are_none_are_refused(checkpoint, field, value, words):
    path = write_split(checkpoint, HASHES)
    facts = json.loads(path.read_text())
    facts["training"][field] = value
    path.write_text(json.dumps(facts))
    with pytest.raises(UserError, match=words):
        read_split(path)


def test_what_cannot_be_read_is_refused(checkpoint):
    path = write_split(checkpoint, HASHES)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        read_split(path)
