"""The arguments of the commands that can work on a cluster."""

import argparse
import contextlib
import re

from common.cli import Parser, above_zero
from deploy.scale.fleet import Fleet

_WAIT = 60.0  # seconds


def add_ray_arguments(parser: Parser, what: str) -> None:
    """`what` runs there, in words."""
    parser.add_argument(
        "--ray",
        type=_address,
        metavar="R",
        help=f"run {what} on a Ray cluster: auto (the one that this machine belongs to) or "
        "ray://HOST:PORT (needs make setup-ray)",
    )
    parser.add_argument(
        "--ray-wait",
        type=above_zero,
        default=_WAIT,
        metavar="S",
        help="how long what is asked for may be offered by no node, or processors be free on none, "
        f"before it is given up, in seconds (default: {_WAIT:g})",
    )


def chosen_fleet(options: argparse.Namespace) -> contextlib.AbstractContextManager[Fleet | None]:
    """The cluster that the arguments name, opened by `with`; None where none is named."""
    return Fleet(options.ray, options.ray_wait) if options.ray else contextlib.nullcontext()


def _address(text: str) -> str:
    """An argument that names a Ray cluster."""
    if text != "auto" and not re.fullmatch(r"ray://[\w.-]+:\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no cluster: auto or ray://HOST:PORT")
    return text
