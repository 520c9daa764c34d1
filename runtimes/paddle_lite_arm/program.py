"""The runner: compiled against a library once, and kept by the content of both."""

import os
import platform
import shutil
from pathlib import Path

from common import files, process
from common.console import say
from common.errors import UserError
from common.paths import cache_root, given
from runtimes.paddle_lite_arm.library import VARIABLE, Library

SOURCE = Path(__file__).with_name("runner.cc")
COMPILER = "aarch64-linux-gnu-g++"
_COMPILER_VARIABLE = "PORTAGE_ARM_CXX"
_NDK = "ANDROID_NDK_HOME"
_API = 23  # Android's version that the app asks for, too
NAME = "runner"
_FLAGS = ("-std=c++11", "-O2", "-Wl,-rpath,$ORIGIN")  # its libraries are beside it
_ANDROIDS_STL = "libc++_shared.so"
_LIMIT = 300.0


def compiled(library: Library) -> Path:
    """The folder with the runner for a library, and the libraries that it takes with it.

    UserError where no compiler is here, or it does not compile.
    """
    compiler, flags, beside = _toolchain(library)
    key = files.sha256_of([library.sha256, files.sha256(SOURCE), _said(compiler), *flags])
    folder = cache_root() / "paddle-lite-arm" / "runners" / key[:16]
    with files.locked(folder.with_suffix(".lock")):
        if not folder.exists():
            say(f"  compiling the runner for {VARIABLE}={library.given}")
            with files.atomic_folder(folder) as scratch:
                process.run(
                    [
                        *(compiler, *_FLAGS, "-I", library.include, "-o", scratch / NAME, SOURCE),
                        *("-L", library.lib, "-lpaddle_light_api_shared", *flags),
                    ],
                    what=f"compiling the runner with {compiler.name}",
                    limit=_LIMIT,
                    error=UserError,
                    telling=process.error_line,
                    remedy=f"is {VARIABLE}={library.given} Paddle Lite 2.9 or newer, with the "
                    "headers of its library?",
                )
                for path in (library.file, *beside):
                    shutil.copy(path, scratch)
    return folder


def _toolchain(library: Library) -> tuple[Path, tuple[str, ...], list[Path]]:
    """The compiler, what links, and the libraries that another machine may lack."""
    if library.system == "linux":
        # The older kind of path, which the libraries' own libraries are looked for in, too.
        return _gcc(), ("-lgomp", "-Wl,--disable-new-dtags"), []
    compiler = _ndk()
    sysroot = compiler.parents[1] / "sysroot/usr/lib/aarch64-linux-android"
    for folder in (library.lib, sysroot):
        if (folder / _ANDROIDS_STL).is_file():
            return compiler, ("-llog",), [folder / _ANDROIDS_STL]
    raise UserError(f"{_NDK}={given(_NDK)} has no {_ANDROIDS_STL} in {sysroot}")


def _gcc() -> Path:
    named = os.environ.get(_COMPILER_VARIABLE)
    found = shutil.which(named or COMPILER)
    if found:
        return Path(found)
    if named:
        raise UserError(f"{_COMPILER_VARIABLE}={named} is no program")
    raise UserError(
        f"{COMPILER}, which compiles the runner of Paddle Lite's files, is not on this machine; "
        "install it (Debian: apt-get install g++-aarch64-linux-gnu), or name another: "
        f"{_COMPILER_VARIABLE}=/path/to/g++"
    )


def _ndk() -> Path:
    home = given(_NDK)
    if home is None:
        raise UserError(
            f"{VARIABLE} is Android's library, for a phone; its runner is compiled by Android's "
            f"NDK: name its folder, {_NDK}=/path"
        )
    host = f"{platform.system().lower()}-x86_64"
    compiler = home / f"toolchains/llvm/prebuilt/{host}/bin/aarch64-linux-android{_API}-clang++"
    if not compiler.is_file():
        raise UserError(f"{_NDK}={home} has no {compiler.relative_to(home)}")
    return compiler


def _said(compiler: Path) -> str:
    """What a compiler says of itself, its version at least."""
    return process.run(
        [compiler, "--version"], what=f"asking {compiler}", limit=30, error=UserError
    ).stdout
