"""A script in adb's place: what every played phone does, and what each does by itself."""

import shlex
import sys
from pathlib import Path

# What adb would do, for a phone whose files are under PHONE. All that is asked of it is noted in
# PHONE/calls, and PHONE/devices is what it lists.
_ADB = """import json, os, pathlib, shutil, subprocess, sys
phone = pathlib.Path({phone!r})
words = sys.argv[1:]
with (phone / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
if words == ["devices"]:
    print("List of devices attached")
    print((phone / "devices").read_text())
    sys.exit()
assert words[:2] == ["-s", {serial!r}], words
match words[2:]:
{cases}"""


def write_adb(programs: Path, phone: Path, serial: str, cases: str) -> None:
    """Put `adb` into a folder of programs.

    `cases` are those of the match statement that gets the words behind the serial number; in them
    `phone` is the phone's folder.
    """
    (phone / "devices").write_text(f"{serial}\tdevice")
    script = phone / "adb.py"
    script.write_text(_ADB.format(phone=str(phone), serial=serial, cases=cases))
    # No interpreter's path with a space in it can stand behind `#!`.
    line = shlex.join([sys.executable, str(script)])
    write_program(programs / "adb", f'exec {line} "$@"')


def write_program(path: Path, script: str) -> None:
    """A shell script that can be started."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
