"""Who made a package: a signature over every file of it, beside the manifest.

The signature is a Sigstore bundle as OpenSSF's model-signing writes it (an in-toto statement of
every file's sha256 in a DSSE envelope), made with an own key pair and without a network; whoever
has that tool can check it without this toolkit. The keys are of NIST's curve P-256, in PEM files.

A signature is taken in one form only, white space and the order of names aside, and must cover
every file: the app (core/SignatureFile.java) holds it against the same form, and both say the same
of every package (tests/android_demo/test_signed.py).
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.console import shown
from common.errors import UserError
from common.strict_json import FormError, parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import hashing

SIGNATURE = "model.sig"
PASSWORD = "PORTAGE_SIGN_PASSWORD"
NEW_KEY = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
_PUBLIC = "openssl ec -in key.pem -pubout -out public.pem"
_CURVE = "secp256r1"
_LARGEST = 4 << 20  # bytes of a signature
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT = "application/vnd.in-toto+json"
_PREDICATE = "https://model_signing/signature/v1.0"


def signer_of(key: Path) -> str:
    """The name of a key pair by its private key: the sha256 of the public one, as the signature
    has it. Raises UserError for what is no such key."""
    return _fingerprint(_private_key(key).public_key())


def key_name(key: Path) -> str:
    """The same by the public key."""
    return _fingerprint(_public_key(key))


def public_keys(paths: Sequence[Path]) -> dict[str, Path]:
    """Files of public keys by the keys' names; a folder stands for the files *.pem in it."""
    found = {}
    for path in paths:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        if not files:
            raise UserError(f"{shown(path)} has no public key in it: no file *.pem")
        found.update({key_name(file): file for file in files})
    return found


def public_pem(key: Path) -> bytes:
    """A public key as OpenSSL writes it: of these bytes its name is the sha256."""
    return _pem(_public_key(key))


def sign(folder: Path, key: Path) -> None:
    """Sign every file in a package's folder; the signature becomes a file beside the manifest."""
    from model_signing import signing

    signature = folder / SIGNATURE
    signing.Config().use_elliptic_key_signer(
        private_key=key,
        password=_password(),  # type: ignore[arg-type] # bytes, as it hands on
    ).set_hashing_config(_all_but(signature)).sign(folder, signature)


def check_signature(folder: Path, key: Path, where: str) -> str:
    """The name of the key pair that signed a package, which the user knows as `where`.

    Raises UserError where it is not this public key's, or a file is not as it was signed.
    """
    from model_signing import verifying

    name = key_name(key)
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise UserError(
            f"{where} is not signed: {SIGNATURE} is not in it; take the package from where "
            "it was signed, or sign it: make package … SIGN=key.pem"
        )
    try:
        covered = _covered(signature)
        verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(
            _all_but(signature)
        ).verify(folder, signature)
    except Exception as error:  # noqa: BLE001 - a bundle from elsewhere breaks its readers anyhow
        raise UserError(f"{where} {_why(error, key)}") from None
    # Whoever signs may have files left out: nothing is known of these.
    here = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    if left_out := here - covered - {SIGNATURE}:
        raise UserError(
            f"{where} has files that its signature leaves out: {', '.join(sorted(left_out))}"
        )
    return name


def check_signed(folder: Path, keys: Sequence[Path], where: str) -> None:
    """Raise UserError where none of these public keys signed a package."""
    problems = []
    for key in keys:
        try:
            check_signature(folder, key, where)
            return
        except UserError as error:
            problems.append(error)
    raise problems[0]


def _covered(signature: Path) -> set[str]:
    """The names of the files that a signature is about; whether it holds is another question.

    Raises FormError, or what comes of a form that is not the one.
    """
    with signature.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise FormError("it is too large for a signature")
    found = parse(data.decode())
    envelope = found["dsseEnvelope"]
    payload, [signed] = envelope["payload"], envelope["signatures"]
    for text in (payload, signed["sig"]):
        if base64.b64encode(base64.b64decode(text, validate=True)).decode() != text:
            raise FormError("it has base64 that nobody writes")
    if found != _bundle(found["verificationMaterial"]["publicKey"]["hint"], payload, signed["sig"]):
        raise FormError("it has other fields than a signature")
    statement = json.loads(base64.b64decode(payload))
    if statement["predicateType"] != _PREDICATE:
        raise FormError("it is about something else than a package")
    return {one["name"] for one in statement["predicate"]["resources"]}


def _bundle(hint: str, payload: str, signature: str) -> dict[str, Any]:
    """A signature's file, of the parts that differ."""
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": payload,
            "payloadType": _STATEMENT,
            "signatures": [{"sig": signature, "keyid": ""}],
        },
    }


def _all_but(signature: Path) -> "hashing.Config":
    """Every other file is hashed, and no link is followed."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=False)


def _why(error: Exception, key: Path) -> str:
    """What is wrong with a signature, for a sentence that begins with the package."""
    text = " ".join(str(error).split())
    if text.startswith("Signature mismatch: "):
        # The text is a list as Python prints it, with its quotes escaped.
        told = text.replace("\\", "")
        changed = re.findall(r"Hash mismatch for '(.+?)': Expected", told)
        changed += re.findall(r"(?:Extra|Missing) files (?:found )?in model '.+?': ([^'\"]+)", told)
        return f"was changed after it was signed: {', '.join(changed)}"
    if "Key mismatch" in text:
        return f"was signed with another key than {shown(key)}"
    return (
        f"has a signature that is not of {shown(key)}, or is damaged: {SIGNATURE} "
        f"({type(error).__name__})"
    )


def _password() -> bytes | None:
    given = os.environ.get(PASSWORD)
    return given.encode() if given else None


def _private_key(path: Path) -> "ec.EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), _password())
    except TypeError:  # a password where none is needed, or the reverse
        raise UserError(
            f"{shown(path)} has a password and {PASSWORD} is not set, or the reverse"
        ) from None
    except ValueError:
        raise UserError(
            f"{shown(path)} is no private key in PEM, or {PASSWORD} is not its password; make "
            f"one: {NEW_KEY}"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != _CURVE:
        raise UserError(f"{shown(path)} is not a key of the curve P-256; make one: {NEW_KEY}")
    return key


def _public_key(path: Path) -> "ec.EllipticCurvePublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise UserError(
            f"{shown(path)} is the private key, which only signs; the public one: {_PUBLIC}"
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UserError(f"{shown(path)} is no public key in PEM; make it: {_PUBLIC}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _CURVE:
        raise UserError(f"{shown(path)} is not a key of the curve P-256")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"the key {shown(path)} cannot be read: {error.strerror}") from None


def _fingerprint(key: "ec.EllipticCurvePublicKey") -> str:
    return hashlib.sha256(_pem(key)).hexdigest()


def _pem(key: "ec.EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
