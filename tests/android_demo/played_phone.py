"""A script in adb's place, which plays a phone in a folder."""

import json
from pathlib import Path

from tests.played_adb import write_adb, write_program

SERIAL = "emulated:5555"
FILES = "sdcard/Android/data/org.paddleportage.demo/files"

# Its files are under the phone's folder, and its programs in bin/ there.
_CASES = """    case ["install", *flags, apk]:
        sys.exit((phone / "install").read_text() if (phone / "install").exists() else 0)
    case ["push", source, target]:
        shutil.copytree(source, phone / target.lstrip("/"))
    case ["pull", source, target]:
        shutil.copyfile(phone / source.lstrip("/"), target)
    case ["shell", command]:
        command = command.replace("/sdcard/", str(phone / "sdcard") + "/")
        path = {"PATH": str(phone / "bin") + ":/usr/bin:/bin"}
        sys.exit(subprocess.run(["sh", "-c", command], env=os.environ | path).returncode)
"""


class PlayedPhone:
    """A folder that the script takes for a phone."""

    def __init__(self, root: Path, programs: Path):
        self.root = root
        (root / "bin").mkdir(parents=True)
        programs.mkdir()
        write_adb(programs, root, SERIAL, _CASES)
        for name in ("input", "logcat"):
            self.program(name, "true")
        self.program("pidof", "echo 4711")
        self.answers({})

    def program(self, name: str, script: str) -> None:
        write_program(self.root / "bin" / name, script)

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
