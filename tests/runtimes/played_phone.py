"""Scripts in the place of adb and of the NDK's compiler: a phone that is a folder.

Its programs are ARM code, executed by QEMU with the ARM64 root's own C library.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from runtimes.hosts import phone
from runtimes.paddle_lite_arm.program import COMPILER
from tests.played_adb import write_adb, write_program
from tests.runtimes import stand_in

SERIAL = "played:5555"
_CASES = """    case ["push", source, target]:
        shutil.copyfile(source, target)
    case ["shell", *flags, command]:
        command = command.replace("cat /proc/cpuinfo", "cat " + str(phone / "cpuinfo"))
        path = str(phone / "bin") + ":" + os.environ["PATH"]
        os.execve("/bin/sh", ["sh", "-c", command], os.environ | {"PATH": path})
"""


class PlayedPhone:
    """`libc` is by its name what makes a library that needs it Android's; `folder` is where adb's
    shell may write."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch):
        self.root = root
        programs = root / "here"
        (root / "bin").mkdir(parents=True)
        programs.mkdir()
        self.folder = root / "tmp"
        self.folder.mkdir()
        (root / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd asimdhp\n")
        write_adb(programs, root, SERIAL, _CASES)
        self.is_a(sdk=34, abi="arm64-v8a")
        self.libc = empty_library(root / "system" / "libc.so")
        path = f"{programs}:{os.environ['PATH']}"
        patch.setenv("PATH", path)
        patch.setenv("ANDROID_NDK_HOME", str(root / "ndk"))
        patch.setattr(phone, "FOLDER", str(self.folder))
        self._make_ndk(root / "ndk" / "toolchains" / "llvm" / "prebuilt" / "linux-x86_64")

    def is_a(self, sdk: int, abi: str) -> None:
        """Let it say that it has this version of Android's interface, and these ABIs."""
        said = {"manufacturer": "Acme", "product.model": "One", "sdk": sdk, "abilist64": abi}
        cases = " ".join(f"*{end}) echo '{value}';;" for end, value in said.items())
        write_program(self.root / "bin" / "getprop", f'case "$1" in {cases} esac')

    @property
    def pushed(self) -> list[str]:
        """The names of the files that were copied to it."""
        calls = [json.loads(line) for line in (self.root / "calls").read_text().splitlines()]
        return [Path(words[4]).name for words in calls if words[2:3] == ["push"]]

    def _make_ndk(self, toolchain: Path) -> None:
        stand_in.compiler(toolchain / "bin" / "aarch64-linux-android23-clang++", self.libc.parent)
        stl = toolchain / "sysroot" / "usr" / "lib" / "aarch64-linux-android" / "libc++_shared.so"
        empty_library(stl)


def empty_library(path: Path) -> Path:
    """A library of that name, for ARM, with nothing inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [COMPILER, "-shared", f"-Wl,-soname,{path.name}", "-x", "c", "/dev/null"]
    subprocess.run([*command, "-o", path], check=True, timeout=60)
    return path
