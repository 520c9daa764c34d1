"""The endpoint that target `served` asks: its arguments, as values."""

import argparse
from collections.abc import Sequence

from common.cli import Parser
from common.errors import UserError
from deploy.request.values import Cell
from deploy.targets.served import Served
from runtimes.served.address import CA, TIMEOUT, TOKEN, Address


def add_endpoint_arguments(parser: Parser) -> None:
    """The arguments of every command that can ask a server."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help=f"where target {Served.name} is: http://host:8000, grpc://host:8001, or with TLS "
        f"https:// and grpcs://; a token, a CA's certificates and the seconds that an answer may "
        f"take are read from ${TOKEN}, ${CA} and ${TIMEOUT}",
    )
    parser.add_argument(
        "--served-name",
        metavar="NAME",
        help="what the model is called there (default: the build's name)",
    )


def at_endpoint(cells: Sequence[Cell], options: argparse.Namespace) -> list[Cell]:
    """The cells, those of target `served` at the address that the arguments name; UserError where
    they name none, or nobody listens there."""
    served = [target for target, _ in cells if isinstance(target, Served)]
    if not served:
        if options.url or options.served_name:
            word = "--url" if options.url else "--served-name"
            raise UserError(f"{word} is for --target {Served.name}")
        return list(cells)
    if not options.url:
        raise UserError(
            f"target {Served.name} is judged where it is served: --url http://host:8000 or "
            "grpc://host:8001"
        )
    address = Address.parse(options.url)
    address.check()
    there = served[0].at(address, options.served_name)
    return [(there if isinstance(target, Served) else target, one) for target, one in cells]
