"""Where things are: the project's own folders and the user's cache."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_root() -> Path:
    """The folder of everything the toolkit builds; `make clean` removes it and nothing else."""
    return Path(os.environ.get("BUILD_DIR") or ROOT / "build")


def cache_root() -> Path:
    """Downloads and decoded photos: they outlive `make clean` (XDG base directories)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "paddle-portage"
