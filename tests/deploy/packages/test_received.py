"""`python deploy/verify.py`: packages from elsewhere, whole, tampered with, and hostile."""

import json
import shutil
import stat
import zipfile

import pytest

from common.errors import UserError
from deploy.packages.package import MANIFEST
from deploy.packages.signature import SIGNATURE, sign
from deploy.verify import main
from tests.conftest import assert_refused
from tests.deploy.packages.tampering import (
    FILES,
    WEIGHTS,
    flip,
    make_keys,
    make_package,
    openssl,
    write_manifest,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def package(tmp_path, keys):
    return make_package(tmp_path / "net-onnx-fp32", keys)


def zipped(folder, *more):
    """The zip of a folder, and `more` entries: (name or ZipInfo, bytes)."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
        for name, data in more:
            archive.writestr(name, data)
    return path


@pytest.fixture
def verify(keys, monkeypatch, capsys):
    """`verify(path)` with the own public key, or `key` (None: without); status and output."""

    def verify(path, key="own.pub"):
        words = ["--package", str(path), *(["--key", str(keys / key)] if key else [])]
        monkeypatch.setattr("sys.argv", ["deploy/verify.py", *words])
        return main(), capsys.readouterr().out

    return verify


def test_the_command_says_in_one_line_what_is_wrong(command, package, keys):
    words = ("--package", package, "--key", keys / "own.pub")
    done = command("deploy/verify.py", *words)
    assert (done.returncode, done.stderr) == (0, "")
    flip(package / "model.onnx")
    assert_refused(command("deploy/verify.py", *words), "model.onnx was changed: its sha256")


def test_whole_and_signed_as_a_folder_and_as_a_zip(verify, package):
    for path in (package, zipped(package)):
        status, said = verify(path)
        assert status == 0
        assert "whole, 4 files" in said
        assert f"net for onnx, fp32, weights {WEIGHTS[:12]}\n" in said
        assert "signed with" in said


def test_without_a_key_who_made_it_stays_open(verify, package):
    status, said = verify(package, key=None)
    assert status == 3
    assert said.splitlines()[-1] == "signed, by whom was not checked: KEY=public.pem"
    (package / SIGNATURE).unlink()
    status, said = verify(package, key=None)
    assert (status, said.splitlines()[-1]) == (3, "not signed")


@pytest.fixture
def refused(verify):
    """`refused(path, *words)`: it is, by one sentence that has these words."""

    def refused(path, *words, key="own.pub"):
        with pytest.raises(UserError) as caught:
            verify(path, key)
        for word in words:
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)

    return refused


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_one_flipped_bit_anywhere(verify, package, name):
    flip(package / name)
    with pytest.raises(UserError, match=name.removesuffix(".json")):
        verify(package)


def test_every_byte_of_a_signature_and_of_a_manifest_counts(verify, package):
    """A flipped bit in the base64 of a signature is another signature, or none."""
    for name in (SIGNATURE, MANIFEST):
        whole = (package / name).read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 60)):
            (package / name).write_bytes(
                whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            )
            try:
                verify(package)
            except UserError:
                continue
            # White space, and the spelling of fields that nobody signed, may change.
            old, new = json.loads(whole), json.loads((package / name).read_text())
            assert name == SIGNATURE
            assert new["dsseEnvelope"] == old["dsseEnvelope"]
        (package / name).write_bytes(whole)


def test_files_and_manifest_changed_together(refused, package):
    changed = FILES | {"model.onnx": b"another model"}
    (package / "model.onnx").write_bytes(changed["model.onnx"])
    write_manifest(package, changed)
    refused(package, "was changed after it was signed", "signed: manifest.json, model.onnx")


def test_a_file_that_was_added_or_taken_away_with_its_line(refused, package):
    (package / "more.txt").write_bytes(b"x")
    write_manifest(package, FILES | {"more.txt": b"x"})
    refused(package, "signed: manifest.json, more.txt")
    for name in ("more.txt", "labels.txt"):
        (package / name).unlink()
    write_manifest(package, {name: data for name, data in FILES.items() if name != "labels.txt"})
    refused(package, "signed: manifest.json, labels.txt")


def test_two_files_that_changed_places(refused, package):
    model, crops = package / "model.onnx", package / "golden" / "crops.bin"
    data = model.read_bytes()
    model.write_bytes(crops.read_bytes())
    crops.write_bytes(data)
    refused(package, "model.onnx was changed: it has 1000 bytes")


def test_a_signature_of_another_key_or_none(refused, package, keys):
    refused(package, "was signed with another key than", "other.pub", key="other.pub")
    shutil.copy(package / SIGNATURE, package.parent / "kept")
    (package / SIGNATURE).unlink()
    refused(package, "is not signed: model.sig is not in it")
    sign(package, keys / "other.pem")
    refused(package, "was signed with another key than")
    # The other's signature under the name of the own key.
    bundle = json.loads((package / SIGNATURE).read_text())
    own = json.loads((package.parent / "kept").read_text())
    bundle["verificationMaterial"] = own["verificationMaterial"]
    (package / SIGNATURE).write_text(json.dumps(bundle))
    refused(package, "has a signature that is not of", "or is damaged")


def test_a_signature_of_another_package_of_the_same_key(refused, package, keys, tmp_path):
    other = shutil.copytree(package, tmp_path / "other" / package.name)
    (other / SIGNATURE).unlink()
    write_manifest(other, FILES, precision="int8")
    sign(other, keys / "own.pem")
    shutil.copy(other / SIGNATURE, package / SIGNATURE)
    refused(package, "was changed after it was signed", "manifest.json")


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "a\\..\\evil", "golden/../../evil", "C:e"]
)
def test_names_that_lead_out_of_the_folder(refused, package, name):
    refused(zipped(package, (name, b"x")), "names a file outside of its folder")
    write_manifest(package, FILES | {name: b"x"})
    refused(package, "names a file that is none of a package's")
    assert not list(package.parent.rglob("*evil*"))


def test_a_file_without_a_name(refused, package):
    path = zipped(package)
    nameless = zipfile.ZipInfo()
    nameless.filename = ""
    with zipfile.ZipFile(path, "a") as archive, archive.open(nameless, "w") as entry:
        entry.write(b"x")
    refused(path, "names a file outside of its folder")


def test_what_is_no_file_or_not_listed(refused, package):
    link = zipfile.ZipInfo("labels.lnk")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zipped(package, (link, b"/etc/passwd")), "a link or a device")
    refused(zipped(package, ("payload.so", b"x")), "its manifest does not list: 'payload.so'")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(package, ("labels.txt", b"dog\ncat\n"))
    refused(twice, "two files of one name: 'labels.txt'")
    (package / "payload.so").write_bytes(b"x")
    refused(package, "its manifest does not list: 'payload.so'")
    (package / "payload.so").unlink()
    (package / "labels.txt").unlink()
    (package / "labels.txt").symlink_to("/etc/hostname")
    refused(package, "labels.txt is a link")


def test_an_archive_that_grows(refused, package):
    """Ten gigabytes of zeros, in ten megabytes: no more is unpacked than the manifest lists."""
    (package / "labels.txt").write_bytes(bytes(50 << 20))
    path = package.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(package).as_posix())
    assert path.stat().st_size < 1 << 20
    refused(path, "labels.txt was changed: the manifest says 8 bytes")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no manifest of a package: not JSON"),
        (b"[]", "no manifest of a package"),
        (b'{"schema": 2}', "model is missing"),
        (b"\xff\xfe", "no manifest of a package"),
        (b'{"schema": 2, "schema": 2}', "'schema' stands there twice"),
        (b"[" * 100_000, "no manifest of a package"),
        (b" " * (5 << 20), "too large for a manifest"),
    ],
)
def test_manifests_that_are_none(refused, package, content, words):
    (package / MANIFEST).write_bytes(content)
    refused(package, words)
    refused(zipped(package), words)


def test_another_form_is_said(refused, package):
    write_manifest(package, FILES, schema=99)
    refused(package, "of form 99, and this toolkit reads form 2")


def test_what_is_no_package(refused, tmp_path, package):
    refused(tmp_path / "nowhere.zip", "nowhere.zip is not there")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "it has no manifest.json")
    whole = zipped(package).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    refused(cut, "is no whole zip")
    damaged = bytearray(whole)
    damaged[whole.index(bytes(range(200)))] ^= 1
    cut.write_bytes(damaged)
    refused(cut, "Bad CRC-32")


def test_keys_that_are_none(refused, package, keys, tmp_path):
    refused(package, "is the private key", key="own.pem")
    refused(package, "none.pub cannot be read", key=tmp_path / "none.pub")
    (tmp_path / "text.pub").write_text("no key")
    refused(package, "is no public key in PEM", key=tmp_path / "text.pub")
    openssl("genrsa", "-out", tmp_path / "rsa.pem", "2048")
    openssl("rsa", "-in", tmp_path / "rsa.pem", "-pubout", "-out", tmp_path / "rsa.pub")
    refused(package, "not a key of the curve P-256", key=tmp_path / "rsa.pub")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", [MANIFEST, "model.onnx"])
def test_a_file_that_does_not_unpack(refused, package, method, name):
    path = package.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(file for file in package.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(package).as_posix())
        entry = archive.getinfo(name)
    data = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(name)
    data[start + 12 : start + entry.compress_size - 8] = bytes(entry.compress_size - 20)
    path.write_bytes(data)
    refused(path)
