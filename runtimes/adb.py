"""adb, which reaches phones: which one, and one question at a time."""

import shutil
from collections.abc import Sequence

from common import process
from common.errors import UserError

SHORT, LONG = 60.0, 900.0  # seconds, for a question, and for copying or installing


def find_adb() -> str:
    """adb on the path; UserError where there is none."""
    adb = shutil.which("adb")
    if adb is None:
        raise UserError("adb is not on this machine; install it (Debian: adb), or add it to PATH")
    return adb


def find_serial(adb: str, wanted: str | None, choose: str = "--serial ") -> str | None:
    """The phone to use; None where none is connected. `choose` is how users name another."""
    lines = ask([adb, "devices"], "adb devices").splitlines()
    states = dict(line.split()[:2] for line in lines if len(line.split()) == 2)
    if wanted and wanted not in states:
        known = ", ".join(states) or "none"
        raise UserError(f"phone {wanted} is not connected; connected: {known}")
    ready = [serial for serial, state in states.items() if state == "device"]
    if wanted:
        ready = [serial for serial in ready if serial == wanted]
    if len(ready) > 1:
        raise UserError(f"{len(ready)} phones are connected; choose: {choose}{ready[0]}")
    if not ready and "unauthorized" in states.values():
        raise UserError("the phone does not trust this machine yet; confirm on its screen")
    return ready[0] if ready else None


def ask(command: Sequence[str], label: str, limit: float = SHORT) -> str:
    """Run adb; StepError with its last line when it fails or does not answer."""
    return process.run(command, what=label, limit=limit, telling=_last_word).stdout


def _last_word(done: process.Completed) -> str | None:
    return process.last_line(process.Completed(done.status, stderr=done.stderr + done.stdout))
