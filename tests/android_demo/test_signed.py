"""Who made a package: the app's Java says the same of it as `make verify`, whatever was done."""

import shutil
import subprocess
from pathlib import Path

import pytest

from common.errors import UserError
from deploy.packages.signature import SIGNATURE, check_signed, key_name, public_keys
from deploy.verify import main
from tests.android_demo import apks, java
from tests.conftest import assert_refused
from tests.deploy.packages.tampering import CASES, flip, make_keys, make_package, openssl

_ASKED = 200  # bytes of a signature, one flipped in each


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    """The app's core, compiled, with the program that receives packages."""
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK: javac is not on this machine")
    sources = java.sources_of(java.SOURCES / "main" / "java" / "org" / "paddleportage" / "core")
    program = java.TESTS / "org" / "paddleportage" / "Receive.java"
    return java.compile_java([*sources, program], tmp_path_factory.mktemp("core") / "classes")


def receive(core: Path, work: Path, asked: list[list[Path]]) -> list[list[str]]:
    """What the app says of packages: each with the keys that are built in."""
    listing = work / "asked.txt"
    listing.write_text("".join("\t".join(map(str, one)) + "\n" for one in asked))
    words = ["java", *java.QUICK, "-cp", core, "org.paddleportage.Receive", listing]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def verify(folder: Path, key: Path | None, monkeypatch) -> int:
    """The status of `make verify`, whose sentence is a UserError's."""
    words = ["--package", str(folder), *(["--key", str(key)] if key else [])]
    monkeypatch.setattr("sys.argv", ["deploy/verify.py", *words])
    return main()


@pytest.fixture(scope="module")
def received(core, keys, tmp_path_factory) -> dict[str, tuple[Path, list[str]]]:
    """Every case: the package, and what the app says of it."""
    work = tmp_path_factory.mktemp("cases")
    folders = {}
    for number, (name, case) in enumerate(CASES.items()):
        folders[name] = make_package(work / str(number), keys)
        case.change(folders[name], keys)
    asked = [[folders[name], *key_of(case, keys)] for name, case in CASES.items()]
    said = receive(core, work, asked)
    return {name: (folders[name], line) for name, line in zip(CASES, said, strict=True)}


def key_of(case, keys: Path) -> list[Path]:
    return [keys / f"{case.key}.pub"] if case.key else []


@pytest.mark.parametrize("name", CASES)
def test_both_say_what_was_done_to_a_package(received, keys, monkeypatch, capsys, name):
    case = CASES[name]
    folder, (word, sentence) = received[name]
    key = next(iter(key_of(case, keys)), None)
    assert word == case.app, sentence
    if case.status == 2:
        with pytest.raises(UserError) as caught:
            verify(folder, key, monkeypatch)
        assert case.words in str(caught.value)
        assert sentence
        return
    assert verify(folder, key, monkeypatch) == case.status
    printed = capsys.readouterr().out
    assert case.words in printed
    assert sentence == (key_name(key)[:12] if word == "SIGNED" else "")
    assert sentence in printed  # by the same name


def test_any_bit_of_a_signature(core, keys, tmp_path, monkeypatch):
    """Whatever it does there, both decide alike."""
    whole = make_package(tmp_path / "package", keys)
    size = (whole / SIGNATURE).stat().st_size
    folders = []
    for place in range(0, size, size // _ASKED):
        folders.append(shutil.copytree(whole, tmp_path / str(place)))
        flip(folders[-1] / SIGNATURE, place)
    said = receive(core, tmp_path, [[one, keys / "own.pub"] for one in folders])
    assert len(said) > _ASKED - 1
    for folder, (word, sentence) in zip(folders, said, strict=True):
        with pytest.raises(UserError, match=r"signature|another key"):
            verify(folder, keys / "own.pub", monkeypatch)
        assert word in ("NOT_JSON", "BAD_FIELD", "UNKNOWN_KEY", "BAD_SIGNATURE"), sentence


def test_one_of_several_keys_is_enough(core, keys, tmp_path):
    folder = make_package(tmp_path / "package", keys)
    both = [keys / "other.pub", keys / "own.pub"]
    [[word, key], [refused, sentence]] = receive(
        core, tmp_path, [[folder, *both], [folder, keys / "other.pub"]]
    )
    assert (word, key) == ("SIGNED", key_name(keys / "own.pub")[:12])
    assert refused == "UNKNOWN_KEY"
    for name in both:
        assert key_name(name)[:12] in sentence


def test_a_key_that_is_none_opens_nothing(core, keys, tmp_path):
    folder = make_package(tmp_path / "package", keys)
    own = (keys / "own.pub").read_text()
    longer = tmp_path / "longer"
    openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", longer)
    openssl("ec", "-in", longer, "-pubout", "-out", longer.with_suffix(".pub"))
    damages = {
        "text.pem": "no key",
        "empty.pem": "",
        "private.pem": (keys / "own.pem").read_text(),
        "cut.pem": own.replace("\n-----END", "AAAA\n-----END"),
        "curve.pem": longer.with_suffix(".pub").read_text(),
        "two.pem": own + own,
    }
    for name, text in damages.items():
        (tmp_path / name).write_text(text)
    names = list(damages)
    said = receive(core, tmp_path, [[folder, tmp_path / name] for name in names])
    assert [word for word, _ in said] == ["BAD_KEY"] * len(names)
    for name, (_, sentence) in zip(names, said, strict=True):
        assert f"{name} inside this app is no public key" in sentence


def test_a_key_with_other_line_ends_is_the_same(core, keys, tmp_path):
    folder = make_package(tmp_path / "package", keys)
    other = tmp_path / "windows.pem"
    other.write_bytes((keys / "own.pub").read_bytes().replace(b"\n", b"\r\n"))
    [[word, key]] = receive(core, tmp_path, [[folder, other]])
    assert (word, key) == ("SIGNED", key_name(keys / "own.pub")[:12])
    assert key == key_name(other)[:12]


# ---- what `make apk KEY=` puts in ----


def test_no_app_is_built_that_would_not_open_its_packages(command, keys, build_folder, core):
    words = ("deploy/apk.py", "--key", keys / "own.pub")
    apks.write_package("onnx", b"model", key=keys / "other.pem")
    refused = command(*words, BUILD_DIR=build_folder)
    assert_refused(refused, "the app would not open", "Tiny-onnx-fp32 was signed with another key")
    apks.write_package("onnx", b"model", model="Bare")
    refused = command(*words, BUILD_DIR=build_folder)
    assert_refused(refused, "would not open", "Bare-onnx-fp32 is not signed", "SIGN=key.pem")
    assert not (build_folder / "apk").exists()


def test_a_folder_of_keys_stands_for_those_in_it(keys, tmp_path):
    for name in ("own", "other"):
        shutil.copy(keys / f"{name}.pub", tmp_path / f"{name}.pem")
    found = public_keys([tmp_path, keys / "own.pub"])
    assert set(found) == {key_name(keys / f"{name}.pub") for name in ("own", "other")}
    package = make_package(tmp_path / "package", keys)
    check_signed(package, list(found.values()), "it")
    with pytest.raises(UserError, match="with another key"):
        check_signed(package, [keys / "other.pub"], "it")


def test_keys_that_are_none_are_refused_before_any_work(command, keys, tmp_path):
    assert_refused(command("deploy/apk.py", "--key", keys / "own.pem"), "is the private key")
    assert_refused(command("deploy/apk.py", "--key", tmp_path), "no file *.pem")
    off = (keys / "own.pub").read_text()
    (tmp_path / "off.pem").write_text(f"{off[:-40]}AAAA{off[-36:]}")  # no point of the curve
    assert_refused(command("deploy/apk.py", "--key", tmp_path), "is no public key in PEM")
