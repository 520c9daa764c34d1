"""A script in adb's place, which plays a phone in a folder."""

import json
import shlex
import stat
import sys
from pathlib import Path

SERIAL = "emulated:5555"
FILES = "sdcard/Android/data/org.paddleportage.demo/files"

# What adb would do, with the phone's files under PHONE and its programs in PHONE/bin. All that is
# asked of it is noted in PHONE/calls.
ADB = """import json, os, pathlib, shutil, subprocess, sys
phone = pathlib.Path({phone!r})
words = sys.argv[1:]
with (phone / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
if words == ["devices"]:
    print("List of devices attached")
    print((phone / "devices").read_text())
    sys.exit()
assert words[:2] == ["-s", {serial!r}], words
inside = lambda path: phone / path.lstrip("/")
match words[2:]:
    case ["install", *flags, apk]:
        sys.exit((phone / "install").read_text() if (phone / "install").exists() else 0)
    case ["push", source, target]:
        shutil.copytree(source, inside(target))
    case ["pull", source, target]:
        shutil.copyfile(inside(source), target)
    case ["shell", command]:
        command = command.replace("/sdcard/", str(phone / "sdcard") + "/")
        path = {{"PATH": str(phone / "bin") + ":/usr/bin:/bin"}}
        sys.exit(subprocess.run(["sh", "-c", command], env=os.environ | path).returncode)
"""


class PlayedPhone:
    """A folder that the script takes for a phone."""

    def __init__(self, root: Path, programs: Path):
        self.root = root
        (root / "bin").mkdir(parents=True)
        (root / "devices").write_text(f"{SERIAL}\tdevice")
        programs.mkdir()
        played = root / "adb.py"
        played.write_text(ADB.format(phone=str(root), serial=SERIAL))
        # No interpreter's path with a space in it can stand behind `#!`.
        line = shlex.join(map(str, [sys.executable, played]))
        self._write(programs / "adb", f'#!/bin/sh\nexec {line} "$@"\n')
        for name in ("input", "logcat"):
            self.program(name, "true")
        self.program("pidof", "echo 4711")
        self.answers({})

    def program(self, name: str, script: str) -> None:
        self._write(self.root / "bin" / name, f"#!/bin/sh\n{script}\n")

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answers(self, outcomes: dict[str, dict[str, object]], errors: tuple[str, ...] = ()) -> None:
        """Let the app write these files when it is started for check or bench."""
        for word, written in (outcomes | {"none": {}}).items():
            folder = self.root / "answers" / word
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in written.items():
                text = content if isinstance(content, str) else json.dumps(content)
                (folder / name).write_text(text)
            done = {"files": list(written), "errors": list(errors)}
            (folder / "done.json").write_text(json.dumps(done))
        results, packages = self.root / FILES / "results", self.root / FILES / "packages"
        self.program(
            "am",
            f'case "$1" in start) mkdir -p {results} {packages}\n'
            f'for word in none check bench; do case " $* " in *" --es out $word "*)\n'
            f"cp -r {self.root}/answers/$word {results}/$word;; esac; done;; esac; true",
        )

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.root / "calls").read_text().splitlines()]
