"""The debug key, signing and verifying."""

import re
from pathlib import Path

from common import files
from common.errors import StepError
from common.paths import cache_root
from deploy.android.project import Project
from deploy.android.tools import QUICK, Tools, call

_PROGRAM = Path(__file__).with_name("SignApk.java")
# Android's own debug keys have this password and alias: it keeps nothing secret.
_PASSWORD = "android"
_ALIAS = "androiddebugkey"
_LIMIT = 120.0


def debug_key(tools: Tools) -> Path:
    """The key that every APK of this user is signed with, made once and kept in the cache.

    Another key would be another maker to Android: it would refuse to update the app.
    """
    path = cache_root() / "android" / "debug.p12"
    with files.locked(path.with_name(".debug.p12.lock")):
        if not path.is_file():
            new = path.with_name(".debug.p12.new")
            new.unlink(missing_ok=True)
            words = [tools.keytool, "-genkeypair", "-keystore", new, "-storetype", "PKCS12"]
            words += ["-storepass", _PASSWORD, "-alias", _ALIAS, "-keyalg", "RSA"]
            words += ["-keysize", "2048", "-sigalg", "SHA256withRSA", "-validity", "10950"]
            call([*words, "-dname", "CN=Android Debug,O=Android,C=US"], "keytool", limit=_LIMIT)
            new.replace(path)
    return path


def sign(project: Project, tools: Tools, unsigned: Path, signed: Path) -> list[str]:
    """Sign and verify an APK; returns the schemes, e.g. ["v1", "v2", "v3"]."""
    words = [debug_key(tools), _PASSWORD, _ALIAS, project.min_sdk, unsigned, signed]
    return _run(tools, words, "signing the APK")


def verify(tools: Tools, min_sdk: int, apk: Path) -> list[str]:
    """The signature schemes that hold for an APK. Raises StepError when Android would refuse it."""
    return _run(tools, [min_sdk, apk], f"the signature of {apk.name}")


def _run(tools: Tools, words: list, label: str) -> list[str]:
    printed = call(
        [tools.java, *QUICK, "-cp", tools.bundletool, _PROGRAM, *words], label, limit=_LIMIT
    )
    schemes = re.findall(r"(v\d)=true", printed)
    if not schemes:
        raise StepError(f"{label}: the verifier named no scheme")
    return schemes
