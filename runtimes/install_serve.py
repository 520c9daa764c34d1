"""Make .venv-serve, which holds a Triton server and its clients (`make setup-serve`)."""

import functools
import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import run
from runtimes.environments import SERVE
from runtimes.install import install_by_itself

if __name__ == "__main__":
    run(functools.partial(install_by_itself, SERVE, __doc__))
