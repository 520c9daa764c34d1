"""A phone over adb: it has no Python, so sessions run here and start a program there."""

import functools
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import files, machine
from common.console import say
from common.errors import StepError, UserError
from runtimes import adb
from runtimes.environments import MAIN, Environment
from runtimes.hosts.base import Child, Host
from runtimes.hosts.local import LOCAL

SERIAL = "ANDROID_SERIAL"  # adb's own variable
# Where adb's shell may write and start programs; ours is all below it, and nothing else is touched.
FOLDER = "/data/local/tmp/paddle-portage"
_ABI = "arm64-v8a"
# Android 7: before it, adb's shell passes no binary data and no exit status.
_OLDEST = 24
_PROPERTIES = (
    *("ro.product.manufacturer", "ro.product.model", "ro.build.version.sdk"),
    "ro.product.cpu.abilist64",
)


@dataclass(frozen=True)
class _Facts:
    model: str
    sdk: int
    abis: list[str]
    cores: int
    isa: list[str]


class Phone(Host):
    """An Android phone; `serial` is what adb calls it."""

    name = "phone"

    def __init__(self, program: str, serial: str):
        self._adb = [program, "-s", serial]
        self._serial = serial

    @property
    def label(self) -> str:
        return f"{self.name}-{self._serial.replace(':', '-')}"

    @property
    def model(self) -> str:
        return self._facts.model

    @property
    def isa(self) -> list[str]:
        return self._facts.isa

    @property
    def cores(self) -> int:
        return self._facts.cores

    def problem(self, environment: Environment = MAIN) -> str | None:
        try:
            facts = self._facts
        except StepError as error:
            return str(error)
        if _ABI not in facts.abis:
            return f"{facts.model} is no phone of {_ABI}: it has {', '.join(facts.abis) or 'none'}"
        if facts.sdk < _OLDEST:
            return f"{facts.model} has an Android older than 7, which adb cannot stream data to"
        return None

    def bring(self, path: Path) -> str:
        """A folder's place there; its files are copied where they are not there as they are here.

        It is named after the last parts of the path, so that a newer one takes its place.
        """
        found = sorted(one for one in path.iterdir() if one.is_file())
        content = files.sha256_of({one.name: files.sha256(one) for one in found})
        there = f"{FOLDER}/{'-'.join(path.parts[-3:])}"
        stamp = f"{there}/.brought"
        if self._shell(f"cat {shlex.quote(stamp)} 2>/dev/null; true").strip() != content:
            say(f"  copying {path.name} to {self.model}")
            self._shell(f"rm -rf {shlex.quote(there)} && mkdir -p {shlex.quote(there)}")
            for one in found:
                target = f"{there}/{one.name}"
                adb.ask([*self._adb, "push", str(one), target], "adb push", adb.LONG)
                if os.access(one, os.X_OK):
                    self._shell(f"chmod 755 {shlex.quote(target)}")
            self._shell(f"echo {content} > {shlex.quote(stamp)}")
        return there

    def command(self, words: Sequence[str | Path]) -> list[str]:
        # Without a terminal, which would change the bytes.
        return [*self._adb, "shell", "-T", f"exec {shlex.join(map(str, words))}"]

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        return LOCAL.start(environment, settings)

    @functools.cached_property
    def _facts(self) -> _Facts:
        asked = "; ".join(f"getprop {name}" for name in _PROPERTIES)
        said = self._shell(f"{asked}; nproc; cat /proc/cpuinfo")
        maker, product, sdk, abis, cores, *cpuinfo = [*said.splitlines(), *[""] * len(_PROPERTIES)]
        numbers = [int(one) if one.strip().isdigit() else 0 for one in (sdk, cores)]
        return _Facts(
            model=" ".join(filter(None, (maker.strip(), product.strip()))) or "phone",
            sdk=numbers[0],
            abis=[one for one in abis.strip().split(",") if one],
            cores=max(1, numbers[1]),
            isa=machine.isa_in("\n".join(cpuinfo)),
        )

    def _shell(self, command: str) -> str:
        return adb.ask([*self._adb, "shell", command], "adb shell")


def connected_phone() -> Phone:
    """The phone that is connected, or of several the one that ANDROID_SERIAL names."""
    program = adb.find_adb()
    serial = adb.find_serial(program, os.environ.get(SERIAL), f"{SERIAL}=")
    if serial is None:
        raise UserError("no phone is connected; plug one in and allow debugging over USB")
    return Phone(program, serial)
