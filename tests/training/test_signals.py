"""SIGTERM where Paddle, which takes it for itself, runs in the command's own process."""

import subprocess
import sys

from common.paths import ROOT

COMMAND = """
import os, signal, time
from common.cli import run
from training.signals import take_back_signals

def main():
    take_back_signals()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        print("cleaned up")

run(main)
"""


def test_a_command_cleans_up_although_paddle_is_there():
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "cleaned up\n")
    assert done.stderr.splitlines()[-1].startswith("error: ended by SIGTERM; what was finished")
