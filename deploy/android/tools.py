"""The foreign tools of `make apk`, all from package registries, each run in a child process."""

import dataclasses
import os
import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from common import files, process
from common.errors import UserError
from common.paths import cache_root
from common.registries.maven import maven_artifact
from common.registries.npm import npm_archive

# npm's nativescript carries Google's bundletool: D8, aapt2 and the APK signer in one jar. Later
# versions of the package no longer have it.
_BUNDLETOOL = (
    "nativescript",
    "8.9.3",
    "49a19643a1d2889d5aeee1047ef64e995f98887ee789b97397acd42d9951535a",
)
_BUNDLETOOL_MEMBER = "package/vendor/aab-tool/bundletool.jar"

# Android 14's framework, which the app compiles and links against, as with Gradle. (aapt2 cannot
# read the resources of the next.)
_FRAMEWORK = (
    "org.robolectric",
    "android-all",
    "14-robolectric-10818077",
    "6be2218c6a53fe3c57bc22ebdc723edcb7270a8a6f187545708aa5c0ed813977",
)
# The public methods of Android 6.0, its oldest, Java's own included, for the check after compiling.
_SIGNATURES = (
    "com.toasttab.android",
    "gummy-bears-api-23",
    "0.12.0",
    "2b5b22e0fa1712f8e1585e6b3147a9701aaa1b1deacda7785d7c010593e8b738",
)
_SNIFFER = (
    "org.codehaus.mojo",
    "animal-sniffer",
    "1.24",
    "65d028de87134f0955e3a964fe438fc3e99e77b237a77e5e165869a8ff59db5f",
)
_ASM = (
    "org.ow2.asm",
    "asm",
    "9.7",
    "adf46d5e34940bdf148ecdd26a9ee8eea94496a72034ff7141066b3eea5c4e9d",
)

_LEAST_JAVA = 17
# For a JVM that lives a few seconds: half the processor time.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


@dataclasses.dataclass(frozen=True)
class Tools:
    """Paths of everything that `make apk` runs or compiles against."""

    java: Path
    javac: Path
    keytool: Path
    jdk: Path
    bundletool: Path
    aapt2: Path
    framework: Path
    signatures: Path
    sniffer: tuple[Path, Path]


def find_tools() -> Tools:
    """Java from this machine, the rest from the registries (once, about 170 MB)."""
    java, javac, keytool = find_java()
    bundletool, aapt2 = _bundletool()
    return Tools(
        java=java,
        javac=javac,
        keytool=keytool,
        jdk=javac.resolve().parents[1],
        bundletool=bundletool,
        aapt2=aapt2,
        framework=maven_artifact(*_FRAMEWORK),
        signatures=maven_artifact(*_SIGNATURES, extension="signature"),
        sniffer=(maven_artifact(*_SNIFFER), maven_artifact(*_ASM)),
    )


def find_java() -> tuple[Path, Path, Path]:
    """java, javac and keytool of this machine's JDK. UserError where it is absent or too old."""
    java, javac, keytool = (_of_the_jdk(name) for name in ("java", "javac", "keytool"))
    version = call([javac, "-version"], "javac", limit=60)
    number = re.search(r"\d+", version)
    if not number or int(number[0]) < _LEAST_JAVA:
        raise UserError(f"{version.strip()} is too old: install a JDK {_LEAST_JAVA} or newer")
    return java, javac, keytool


def call(command: Sequence[object], label: str, *, limit: float) -> str:
    """Run a tool and return what it printed; `limit` in seconds.

    Raises StepError with the tool's most telling line when it fails or takes longer.
    """
    return process.run(command, what=label, limit=limit, telling=process.error_line).printed


def _of_the_jdk(name: str) -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=str(Path(home, "bin"))) if home else shutil.which(name)
    if found is None:
        where = f"in JAVA_HOME ({home})" if home else "on this machine"
        raise UserError(
            f"{name} is not {where}; install a JDK {_LEAST_JAVA} (Debian: openjdk-17-jdk-headless)"
        )
    return Path(found)


def _bundletool() -> tuple[Path, Path]:
    """bundletool.jar and the Linux aapt2 inside it, unpacked into the cache."""
    import tarfile

    name, version, sha256 = _BUNDLETOOL
    archive = npm_archive(name, version, sha256)
    folder = cache_root() / "android" / f"bundletool-{sha256[:12]}"
    with files.locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with files.atomic_folder(folder) as new:
                jar = new / "bundletool.jar"
                with tarfile.open(archive) as members:
                    jar.write_bytes(files.archived(members, _BUNDLETOOL_MEMBER).read())
                with zipfile.ZipFile(jar) as inside:
                    (new / "aapt2").write_bytes(inside.read("linux/aapt2"))
                (new / "aapt2").chmod(0o755)
    return folder / "bundletool.jar", folder / "aapt2"
