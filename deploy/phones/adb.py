"""The app on a phone, over adb."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from common import files
from common.console import say, shown
from common.errors import StepError, UserError
from runtimes import adb

_NOTHING = "none"
_DONE = "done.json"
_POLL = 1.0  # seconds


class Phone:
    """A phone over adb, with the app on it."""

    def __init__(self, program: str, serial: str, application: str):
        self._command = [program, "-s", serial]
        self._application = application
        self._files = f"/sdcard/Android/data/{application}/files"

    def install(self, apk: Path) -> None:
        """Install the app, or update it, with its permissions granted."""
        say(f"  installing {shown(apk)}")
        try:
            self._run("install", "-r", "-g", str(apk), limit=adb.LONG)
        except StepError as error:
            if "INSTALL_FAILED_UPDATE_INCOMPATIBLE" in str(error):
                raise UserError(
                    "the phone has the app signed with another key; remove that one first: "
                    f"adb uninstall {self._application}"
                ) from None
            if "INSTALL_FAILED_NO_MATCHING_ABIS" in str(error):
                raise UserError("the libraries in the app are not for this phone's ABI") from None
            raise

    def push(self, packages: Sequence[Path]) -> None:
        """Put packages beside those in the app; each takes the place of one of the same name."""
        if packages:
            # The folder must be the app's own: what a shell makes there is not always readable.
            self._start(_NOTHING, {}, adb.LONG)
        for package in packages:
            target = f"{self._files}/packages/{package.name}"
            say(f"  pushing {package.name}")
            self._shell(f"rm -rf '{target}'")
            self._run("push", str(package), target, limit=adb.LONG)

    def run(self, word: str, extras: dict[str, str], limit: float, out: Path) -> "Outcome":
        """Let the app check or bench, wait, and pull what it wrote into a folder."""
        results, done = self._start(word, extras, limit)
        with files.atomic_folder(out) as folder:
            for name in done["files"]:
                self._run("pull", f"{results}/{name}", str(folder / name), limit=adb.LONG)
        return Outcome(word, [out / name for name in done["files"]], done["errors"])

    def _start(self, word: str, extras: dict[str, str], limit: float) -> tuple[str, dict]:
        """Let the app do something to its end: the folder of its results, and their list."""
        results = f"{self._files}/results/{word}"
        self._shell(f"am force-stop {self._application}; rm -rf '{results}'")
        self._shell("input keyevent KEYCODE_WAKEUP")
        words = f"--es run {word} --es out {word}"
        words += "".join(f" --es {name} {value}" for name, value in extras.items())
        said = self._shell(
            f"am start -W -n {self._application}/org.paddleportage.app.RunActivity {words}"
        )
        if "Error" in said:
            raise StepError(f"starting {word} on the phone: {said.strip().splitlines()[-1]}")
        if word != _NOTHING:
            say(f"  {word} is running on the phone")
        return results, self._wait(f"{results}/{_DONE}", word, limit)

    def _wait(self, path: str, word: str, limit: float) -> dict:
        """The app's last file; StepError when the app died, or takes longer than `limit` s."""
        started = time.monotonic()
        while time.monotonic() - started < limit:
            # The process first: what it wrote before it ended is then seen.
            alive = self._shell(f"pidof {self._application}; true").strip()
            done = self._read(path)
            if done:
                return done
            if not alive:
                raise StepError(
                    f"the app ended during {word} on the phone; its last words: {self._log()}"
                )
            time.sleep(_POLL)
        raise StepError(f"{word} on the phone did not end within {limit:.0f} s")

    def _read(self, path: str) -> dict | None:
        text = self._shell(f"cat '{path}' 2>/dev/null; true")
        try:
            return json.loads(text)
        except ValueError:
            return None

    def _log(self) -> str:
        lines = self._shell("logcat -d -t 300 '*:F'; true").strip().splitlines()
        telling = [line for line in lines if "Check failed" in line or "Abort message" in line]
        return (telling or lines or ["none"])[-1].strip()

    def _shell(self, command: str) -> str:
        return self._run("shell", command)

    def _run(self, *words: str, limit: float = adb.SHORT) -> str:
        return adb.ask([*self._command, *words], f"adb {words[0]}", limit)


class Outcome:
    """What check or bench left: files here, and sentences about what went wrong there."""

    def __init__(self, word: str, found: list[Path], errors: list[str]):
        self.word = word
        self.files = found
        self.errors = errors
