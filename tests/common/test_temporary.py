"""Temporary folders: gone with their block, or with the next command."""

import signal
import subprocess
import sys

from common.paths import ROOT
from common.temporary import is_held, sweep, temporary_folder

_HOLD = """
import sys
from pathlib import Path
from common.temporary import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_bytes(b"x")
    folder.with_name(f"{folder.name}_memory").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_goes_with_what_lies_beside_it(tmp_path):
    with temporary_folder(tmp_path) as folder:
        (folder / "file").write_bytes(b"x")
        folder.with_name(f"{folder.name}_memory").write_bytes(b"x")
        assert is_held(folder)
    assert not list(tmp_path.iterdir())


def test_only_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    mine = tmp_path / "portage-mine"  # nobody's lock is beside it
    mine.mkdir()
    command = [sys.executable, "-c", _HOLD, tmp_path]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin and child.stdout
        folder = tmp_path / child.stdout.readline().strip()
        sweep.__wrapped__(tmp_path)
        assert (folder / "file").exists()
        assert is_held(folder)
        child.send_signal(signal.SIGKILL)
    assert not is_held(folder)
    sweep.__wrapped__(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
