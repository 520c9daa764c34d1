"""Where things are: the project's own folders, the user's cache, and paths as users give them.

Standard library only, as `make setup` needs it before anything is installed.
"""

import math
import os
from pathlib import Path

from common.errors import UserError

ROOT = Path(__file__).resolve().parents[1]

# The environment variables that name a file or a folder.
VARIABLES = (
    *("BUILD_DIR", "XDG_CACHE_HOME", "WEIGHTS_DIR", "ONNXRUNTIME_ANDROID"),
    *("PORTAGE_ARM_ROOT", "PORTAGE_QEMU", "PORTAGE_SSH_CONFIG", "JAVA_HOME", "PYENV_ROOT"),
    *("REQUESTS_CA_BUNDLE", "TMPDIR", "ANDROID_NDK_HOME", "PORTAGE_SERVED_CA"),
)


CACHE_GB = "CACHE_GB"  # the environment variable that limits the decoded photos kept
_USUAL_GB = 20.0  # ImageNet's 50,000 validation photos at two sizes of crops


def absolute(text: str | Path) -> Path:
    """A path as a user gives it, from the root on; `~` and `~name` are home folders."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # there is no such user
        raise UserError(f"{text}: no such home folder; write the path from / on") from None
    except FileNotFoundError:
        raise UserError(f"{text}: the working folder is gone; go to another") from None


def given(variable: str) -> Path | None:
    """The path that an environment variable names; None where it is not set, or empty."""
    value = os.environ.get(variable)
    return absolute(value) if value else None


def settle_variables() -> None:
    """Make the paths in the environment absolute, for children that work in another folder, and
    refuse a limit of the cache that is none."""
    for variable, value in os.environ.items():
        # An interpreter may also be given by its bare name, to be looked for on the path.
        if variable in VARIABLES or (variable.startswith("PORTAGE_PYTHON_") and "/" in value):
            os.environ[variable] = str(given(variable) or "")
    cache_limit()


def home() -> Path:
    """The user's home folder."""
    try:
        return Path.home()
    except RuntimeError:
        raise UserError("no home folder is known; name one: HOME=/path/to/a/folder") from None


def tools_home() -> Path:
    """A home folder for tools that write into it: the user's, else one in the cache."""
    found = home()
    if found.is_dir() and os.access(found, os.W_OK | os.X_OK):
        return found
    found = cache_root() / "home"
    found.mkdir(parents=True, exist_ok=True)
    return found


def build_root() -> Path:
    """The folder of everything the toolkit builds; `make clean` removes it and nothing else."""
    return given("BUILD_DIR") or ROOT / "build"


def cache_root() -> Path:
    """Downloads and decoded photos: they outlive `make clean` (XDG base directories)."""
    return (given("XDG_CACHE_HOME") or home() / ".cache") / "paddle-portage"


def cache_limit() -> int:
    """The bytes that decoded photos may take in the cache, between runs."""
    text = os.environ.get(CACHE_GB) or str(_USUAL_GB)
    try:
        if 0 <= (limit := float(text)) < math.inf:
            return int(limit * 1e9)
    except ValueError:
        pass
    raise UserError(
        f"{CACHE_GB}={text}: not a number of gigabytes of at least 0 (usually {_USUAL_GB:g}); "
        "it limits the decoded photos that the cache keeps"
    )
