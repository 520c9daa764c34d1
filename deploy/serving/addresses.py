"""Where the server here listens."""

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from common.errors import UserError

LOOPBACK = "127.0.0.1"
PORT = 8000
_USES = ("REST", "gRPC", "metrics")


@dataclass(frozen=True)
class Addresses:
    """An IPv4 address of this machine ("0.0.0.0": all of them), and three ports of it."""

    host: str
    http: int
    grpc: int
    metrics: int

    @property
    def is_open(self) -> bool:
        """Whether other machines reach it."""
        return not ipaddress.IPv4Address(self.host).is_loopback

    @property
    def here(self) -> str:
        """How this machine reaches it."""
        return LOOPBACK if self.host == "0.0.0.0" else self.host


def host_address(text: str) -> str:
    """An IPv4 address, as users write it; UserError where it is none."""
    try:
        return str(ipaddress.IPv4Address(LOOPBACK if text == "localhost" else text))
    except ValueError:
        raise UserError(
            f"HOST: '{text}' is no IPv4 address; give one of this machine's, {LOOPBACK} for this "
            "machine alone or 0.0.0.0 for all networks"
        ) from None


def find_addresses(host: str, port: int) -> Addresses:
    """`port` and the two after it; for 0 three that the system has free.

    UserError where one is taken, not allowed, or not of this machine.
    """
    if port:
        ports = [port, port + 1, port + 2]
        for number, use in zip(ports, _USES, strict=True):
            _check(host, number, use)
        return Addresses(host, *ports)
    with socket.socket() as http, socket.socket() as grpc, socket.socket() as metrics:
        ports = []
        for one, use in zip((http, grpc, metrics), _USES, strict=True):
            _bind(one, host, 0, use)
            ports.append(one.getsockname()[1])
        return Addresses(host, *ports)


def _check(host: str, port: int, use: str) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended is free
        _bind(one, host, port, use)


def _bind(one: socket.socket, host: str, port: int, use: str) -> None:
    try:
        one.bind((host, port))
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        remedy = (
            f"the server takes three ports that follow each other ({', '.join(_USES)}): name the "
            "first of three that are free (PORT=…), or PORT=0 for any"
        )
        if error.errno == errno.EADDRNOTAVAIL:
            remedy = f"it is none of this machine's: HOST={LOOPBACK}, or 0.0.0.0 for all networks"
        raise UserError(f"cannot listen on {host}:{port} ({use}): {why}; {remedy}") from None
