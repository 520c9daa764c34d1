"""Make .venv-serve, which holds a Triton server and its clients (`make setup-serve`)."""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, run
from common.console import say
from runtimes.environments import SERVE
from runtimes.install import install


def main() -> int:
    Parser(prog="python runtimes/install_serve.py", description=__doc__).parse_args()
    install(SERVE)
    versions = ", ".join(f"{name} {SERVE.version(name)}" for name in SERVE.tools)
    say(f"  ready: {SERVE.folder} with {versions}")
    return Exit.OK


if __name__ == "__main__":
    run(main)
