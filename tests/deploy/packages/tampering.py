"""What is done to packages on their way, and what their receivers, Python's and the app's, say."""

import base64
import functools
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from model_signing import hashing, signing

from deploy.packages.package import MANIFEST, SCHEMA
from deploy.packages.signature import SIGNATURE, sign

FILES = {
    "model.onnx": b"\x08\x08" + bytes(range(256)) * 20,
    "labels.txt": b"cat\ndog\n",
    "golden/crops.bin": bytes(1000),
    "golden/logits.bin": bytes(range(250)) * 4,
}
WEIGHTS = hashlib.sha256(b"weights").hexdigest()


def make_keys(folder: Path) -> Path:
    """Two pairs of keys, "own" and "other": the private one of a name, and the public one."""
    for name in ("own", "other"):
        private = folder / f"{name}.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private)
        openssl("ec", "-in", private, "-pubout", "-out", private.with_suffix(".pub"))
    return folder


def openssl(*words) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def make_package(folder: Path, keys: Path) -> Path:
    """A package that is signed by "own"; nobody looks into the model."""
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_manifest(folder, FILES)
    sign(folder, keys / "own.pem")
    return folder


def write_manifest(folder: Path, named: dict[str, bytes], **other) -> None:
    """The manifest of these files; `other` has what is else in it."""
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in named.items()
    }
    about = {
        **{"schema": SCHEMA, "model": "AlexNet", "name": "net", "target": "onnx"},
        **{"precision": "fp32", "weights": WEIGHTS, "weights_sha256": WEIGHTS},
        **{"engine": "onnxruntime", "engine_version": "1.0", "gate": "numeric"},
        **{"class_num": 2, "input_shape": [3, 8, 8]},
        "data": {"name": "toy", "images": 1, "sha256": hashlib.sha256(bytes(1000)).hexdigest()},
        "files": listed,
    }
    (folder / MANIFEST).write_text(json.dumps(about | other))


def flip(file: Path, place: int | None = None) -> None:
    """Turn one bit of a file: of the byte in its middle, or of another."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    file.write_bytes(data)


@dataclass(frozen=True)
class Case:
    """A package that was tampered with.

    `words` are in the sentence of `make verify` (`status` 2), or what it prints; `app` is the app's
    fault, or, where it opens the package, how much it knows of who made it.
    """

    change: Callable[[Path, Path], object]  # of the package's folder, with the folder of the keys
    words: str
    app: str
    status: int = 2
    key: str | None = "own"


def _flips(name: str) -> Callable[[Path, Path], object]:
    return lambda folder, keys: flip(folder / name)


def _bundle(change: Callable[[dict], object]) -> Callable[[Path, Path], object]:
    """A change of what the signature's file says."""

    def apply(folder: Path, keys: Path) -> None:
        bundle = json.loads((folder / SIGNATURE).read_text())
        change(bundle)
        (folder / SIGNATURE).write_text(json.dumps(bundle))

    return apply


def _envelope(**fields) -> Callable[[Path, Path], object]:
    return _bundle(lambda bundle: bundle["dsseEnvelope"].update(fields))


def _signed(change: Callable[[str], str]) -> Callable[[Path, Path], object]:
    """A change of the signature itself, in base64."""

    def apply(bundle: dict) -> None:
        [one] = bundle["dsseEnvelope"]["signatures"]
        one["sig"] = change(one["sig"])

    return _bundle(apply)


def _text(change: Callable[[str], str], name: str = SIGNATURE) -> Callable[[Path, Path], object]:
    def apply(folder: Path, keys: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return apply


def _statement(change: Callable[[dict], object]) -> Callable[[Path, Path], object]:
    """Another statement, signed with the own key as the envelope wants it."""

    def apply(folder: Path, keys: Path) -> None:
        bundle = json.loads((folder / SIGNATURE).read_text())
        envelope = bundle["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        payload = json.dumps(statement).encode()
        kind = envelope["payloadType"]
        signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        key = load_pem_private_key((keys / "own.pem").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
        envelope["payload"] = base64.b64encode(payload).decode()
        envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        (folder / SIGNATURE).write_text(json.dumps(bundle))

    return apply


def _strip(folder: Path, keys: Path) -> None:
    (folder / SIGNATURE).unlink()


def _signed_by_another(folder: Path, keys: Path) -> None:
    _strip(folder, keys)
    sign(folder, keys / "other.pem")


def _anothers_under_the_own_name(folder: Path, keys: Path) -> None:
    own = json.loads((folder / SIGNATURE).read_text())
    _signed_by_another(folder, keys)
    material = {"verificationMaterial": own["verificationMaterial"]}
    _bundle(lambda bundle: bundle.update(material))(folder, keys)


def _of_another_package(folder: Path, keys: Path) -> None:
    other = shutil.copytree(folder, folder.with_name(f"{folder.name}-other"))
    _strip(other, keys)
    write_manifest(other, FILES, precision="int8")
    sign(other, keys / "own.pem")
    shutil.copy(other / SIGNATURE, folder / SIGNATURE)


def _model_and_manifest(folder: Path, keys: Path) -> None:
    changed = FILES | {"model.onnx": b"another model"}
    (folder / "model.onnx").write_bytes(changed["model.onnx"])
    write_manifest(folder, changed)


def _all_but_the_signature(folder: Path, keys: Path) -> None:
    """Files, manifest and statement fit each other; only the signature is that of before."""
    [signed] = json.loads((folder / SIGNATURE).read_text())["dsseEnvelope"]["signatures"]
    _model_and_manifest(folder, keys)
    _strip(folder, keys)
    sign(folder, keys / "own.pem")
    _signed(lambda _: signed["sig"])(folder, keys)


def _added(folder: Path, keys: Path) -> None:
    (folder / "golden" / "more.txt").write_bytes(b"x")


def _added_with_its_line(folder: Path, keys: Path) -> None:
    (folder / "more.txt").write_bytes(b"x")
    write_manifest(folder, FILES | {"more.txt": b"x"})


def _taken_away(folder: Path, keys: Path) -> None:
    (folder / "labels.txt").unlink()


def _taken_away_with_its_line(folder: Path, keys: Path) -> None:
    _taken_away(folder, keys)
    write_manifest(folder, {name: data for name, data in FILES.items() if name != "labels.txt"})


def _swapped(folder: Path, keys: Path, *, with_manifest: bool = False) -> None:
    crops, logits = "golden/crops.bin", "golden/logits.bin"
    (folder / crops).write_bytes(FILES[logits])
    (folder / logits).write_bytes(FILES[crops])
    if with_manifest:
        write_manifest(folder, FILES | {crops: FILES[logits], logits: FILES[crops]})


def _cut(folder: Path, keys: Path) -> None:
    (folder / "model.onnx").write_bytes(FILES["model.onnx"][:-1])


def _link(folder: Path, keys: Path) -> None:
    (folder / "labels.txt").rename(folder.with_name(f"{folder.name}-labels"))
    (folder / "labels.txt").symlink_to(folder.with_name(f"{folder.name}-labels"))


def _signed_without_the_model(folder: Path, keys: Path) -> None:
    """As whoever has the key, and model-signing's own command, can do it."""
    _strip(folder, keys)
    left_out = hashing.Config().set_ignored_paths(
        paths=[folder / SIGNATURE, folder / "model.onnx"], ignore_git_paths=False
    )
    signing.Config().use_elliptic_key_signer(private_key=keys / "own.pem").set_hashing_config(
        left_out
    ).sign(folder, folder / SIGNATURE)


def _nothing(folder: Path, keys: Path) -> None:
    pass


_CHANGED = "was changed after it was signed"
_DAMAGED = "has a signature that is not of"
CASES: dict[str, Case] = {
    "as it was made": Case(_nothing, "signed with", "SIGNED", 0),
    "with white space in the signature": Case(
        _text(lambda text: json.dumps(json.loads(text), indent=1)), "signed with", "SIGNED", 0
    ),
    "signed, and no key": Case(_nothing, "by whom was not checked", "UNCHECKED", 3, None),
    "not signed, and no key": Case(_strip, "not signed", "UNSIGNED", 3, None),
    "damaged, and no key": Case(_flips("model.onnx"), "was changed", "WRONG_SHA256", key=None),
    "the signature stripped": Case(_strip, "is not signed", "NOT_SIGNED"),
    "signed by another": Case(_signed_by_another, "with another key than", "UNKNOWN_KEY"),
    "another's signature by the own name": Case(
        _anothers_under_the_own_name, _DAMAGED, "BAD_SIGNATURE"
    ),
    "the own key's of another package": Case(
        _of_another_package, f"{_CHANGED}: {MANIFEST}", "CHANGED_AFTER_SIGNING"
    ),
    "model and manifest": Case(
        _model_and_manifest, f"{_CHANGED}: manifest.json, model.onnx", "CHANGED_AFTER_SIGNING"
    ),
    "all but the signature": Case(_all_but_the_signature, _DAMAGED, "BAD_SIGNATURE"),
    "the manifest": Case(
        _text(lambda text: text.replace("fp32", "int8"), MANIFEST),
        f"{_CHANGED}: {MANIFEST}",
        "CHANGED_AFTER_SIGNING",
    ),
    "a manifest that is none": Case(
        _text(lambda text: text[1:], MANIFEST), "no manifest of a package: not JSON", "NOT_JSON"
    ),
    "a name that leads out": Case(
        lambda folder, keys: write_manifest(folder, FILES | {"../evil": b""}),
        "names a file that is none of a package's",
        "UNSAFE_NAME",
    ),
    "a manifest that lists the signature": Case(
        lambda folder, keys: write_manifest(folder, FILES | {SIGNATURE: b""}),
        "names a file that is none of a package's",
        "UNSAFE_NAME",
    ),
    **{
        f"a bit of {name}": Case(_flips(name), f"{name} was changed: its sha256", "WRONG_SHA256")
        for name in FILES
    },
    "a bit of the statement": Case(_flips(SIGNATURE), _DAMAGED, "BAD_SIGNATURE"),
    "a file cut short": Case(_cut, "model.onnx was changed: it has", "WRONG_SIZE"),
    "a file added": Case(_added, "does not list: 'golden/more.txt'", "UNLISTED"),
    "a file added with its line": Case(
        _added_with_its_line, f"{_CHANGED}: manifest.json, more.txt", "CHANGED_AFTER_SIGNING"
    ),
    "a file taken away": Case(_taken_away, "labels.txt is missing", "MISSING"),
    "a file taken away with its line": Case(
        _taken_away_with_its_line, f"{_CHANGED}: manifest.json, labels.txt", "CHANGED_AFTER_SIGNING"
    ),
    "two files swapped": Case(_swapped, "crops.bin was changed", "WRONG_SHA256"),
    "two files swapped with their lines": Case(
        functools.partial(_swapped, with_manifest=True), _CHANGED, "CHANGED_AFTER_SIGNING"
    ),
    "a link": Case(_link, "labels.txt is a link", "IS_LINK"),
    "an empty signature": Case(_text(lambda _: ""), _DAMAGED, "NOT_JSON"),
    "a signature cut short": Case(_text(lambda text: text[:-1]), _DAMAGED, "NOT_JSON"),
    "more after the signature": Case(_text(lambda text: text + "{}"), _DAMAGED, "NOT_JSON"),
    "a name twice": Case(_text(lambda text: text[:-1] + ',"mediaType":"x"}'), _DAMAGED, "NOT_JSON"),
    "a huge signature": Case(_text(lambda text: text + " " * (4 << 20)), _DAMAGED, "BAD_FIELD"),
    "a list for a signature": Case(_text(lambda text: f"[{text}]"), _DAMAGED, "BAD_FIELD"),
    "no base64": Case(_envelope(payload="e30!"), _DAMAGED, "BAD_FIELD"),
    "base64 without its end": Case(_envelope(payload="e30"), _DAMAGED, "BAD_FIELD"),
    "white space in base64": Case(_envelope(payload="e3\n0="), _DAMAGED, "BAD_FIELD"),
    "another text for the same bytes": Case(_envelope(payload="e31="), _DAMAGED, "BAD_FIELD"),
    "base64 for addresses": Case(_signed(lambda _: "__-_"), _DAMAGED, "BAD_FIELD"),
    "padding in the middle": Case(_signed(lambda text: f"QQ=={text}"), _DAMAGED, "BAD_FIELD"),
    "nothing signed": Case(_envelope(payload=""), _DAMAGED, "BAD_SIGNATURE"),
    "no signature in the envelope": Case(_envelope(signatures=[]), _DAMAGED, "BAD_FIELD"),
    "two signatures": Case(
        _bundle(
            lambda bundle: bundle["dsseEnvelope"].update(
                signatures=bundle["dsseEnvelope"]["signatures"] * 2
            )
        ),
        _DAMAGED,
        "BAD_FIELD",
    ),
    "no name of a key": Case(
        _bundle(lambda bundle: bundle["verificationMaterial"].update(publicKey={})),
        _DAMAGED,
        "BAD_FIELD",
    ),
    "a field too many": Case(_bundle(lambda bundle: bundle.update(more=1)), _DAMAGED, "BAD_FIELD"),
    "a key in the envelope": Case(
        _bundle(lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(keyid="own")),
        _DAMAGED,
        "BAD_FIELD",
    ),
    "another medium": Case(
        _bundle(lambda bundle: bundle.update(mediaType="text/plain")), _DAMAGED, "BAD_FIELD"
    ),
    "another kind of payload": Case(
        _envelope(payloadType="application/json"), _DAMAGED, "BAD_FIELD"
    ),
    "a signature that is no DER": Case(_signed(lambda _: "AAAA"), _DAMAGED, "BAD_SIGNATURE"),
    "an empty one": Case(_signed(lambda _: ""), _DAMAGED, "BAD_SIGNATURE"),
    "a signature of zeros": Case(
        _signed(lambda _: base64.b64encode(bytes.fromhex("3006020100020100")).decode()),
        _DAMAGED,
        "BAD_SIGNATURE",
    ),
    "bytes after the signature's": Case(
        _signed(lambda text: base64.b64encode(base64.b64decode(text) + b"\0").decode()),
        _DAMAGED,
        "BAD_SIGNATURE",
    ),
    "signed, but without the model": Case(
        _signed_without_the_model, "its signature leaves out: model.onnx", "CHANGED_AFTER_SIGNING"
    ),
    "signed as something else": Case(
        _statement(lambda statement: statement.update(predicateType="https://slsa.dev/")),
        _DAMAGED,
        "BAD_FIELD",
    ),
    "signed as no statement": Case(
        _statement(lambda statement: statement.update(_type="x")), _DAMAGED, "BAD_FIELD"
    ),
    "signed with another hash": Case(
        _statement(lambda one: one["predicate"]["resources"][0].update(algorithm="md5")),
        _CHANGED,
        "BAD_FIELD",
    ),
    "signed again as it was": Case(_statement(lambda statement: None), "signed with", "SIGNED", 0),
}
