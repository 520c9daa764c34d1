"""The hosts that train together: which they are, and how they meet.

The first host listens at a port and the others come to it. Nothing is authenticated or encrypted,
by us or by Paddle: this is for a network of one's own.
"""

import contextlib
import ipaddress
import json
import os
import socket
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.cli import several
from common.console import say
from common.errors import UserError

PORT = 6070  # the launcher's own default
WAIT = 120.0  # seconds for all hosts to come
ANSWER = 10.0  # seconds for a host that is here to say what it has to
_LONGEST = 65536  # characters of a message
_SILENT = 60  # seconds after which a host is gone whose machine is, without a word


# ---- which hosts ----


@dataclass(frozen=True)
class Hosts:
    """The hosts of a training, in their order, and which of them this one is."""

    addresses: tuple[str, ...]
    own: str
    port: int = PORT

    @property
    def first(self) -> str:
        return self.addresses[0]

    @property
    def is_first(self) -> bool:
        return self.own == self.first


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ArgumentTypeError(
            f"'{text}' is not an IPv4 address, as the hosts reach each other by: 10.0.0.1,10.0.0.2"
        ) from None


def addresses(text: str) -> tuple[str, ...]:
    """An argument that lists the addresses of at least two hosts."""
    named = several(_address)(text)
    if len(named) < 2:
        raise ArgumentTypeError(f"'{text}' is one host; leave it out, or name all of them")
    if "127.0.0.1" in named:  # Paddle's launcher refuses it, and only this loopback address
        raise ArgumentTypeError("127.0.0.1 is every host's own address; name one that others reach")
    return named


def find_hosts(named: tuple[str, ...], port: int) -> Hosts:
    """Find out which of the hosts this machine is; POD_IP, as Paddle calls it, decides."""
    listed = ",".join(named)
    if told := os.environ.get("POD_IP"):
        if told not in named:
            raise UserError(f"POD_IP={told} is none of the hosts {listed}; name one of them")
        return Hosts(named, told, port)
    ours = [address for address in named if _is_ours(address)]
    if not ours:
        there = ", ".join(_interfaces())
        raise UserError(
            f"none of the hosts {listed} is this machine, whose addresses are {there}; give the "
            "same list on every host, with the address of each"
        )
    if len(ours) > 1:
        raise UserError(
            f"{' and '.join(ours)} are both this machine; say which this is: POD_IP={ours[0]}"
        )
    return Hosts(named, ours[0], port)


def _is_ours(address: str) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def _interfaces() -> dict[str, str]:
    """The network interface of each of this machine's addresses."""
    import psutil

    return {
        entry.address: name
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET
    }


def interface_of(address: str) -> str | None:
    """The network interface that has this address, where one has."""
    known = _interfaces()
    # Linux answers to all of 127.0.0.0/8, and lists one.
    return known.get(address) or (known.get("127.0.0.1") if address.startswith("127.") else None)


# ---- the meeting ----


class Peer:
    """A connection to another host, and what came over it: JSON, a line each."""

    def __init__(self, connection: socket.socket, address: str = ""):
        self.address, self.connection, self._kept = address, connection, b""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENT // 2)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENT // 6)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def send(self, **message: Any) -> None:
        with contextlib.suppress(OSError):  # that it is gone shows where it is listened to
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, seconds: float) -> dict[str, Any]:
        """The next message. OSError or ValueError: there comes none, or none of ours."""
        self.connection.settimeout(seconds)
        while b"\n" not in self._kept:
            part = self.connection.recv(4096)
            if not part:
                raise ConnectionResetError
            self._kept += part
            if len(self._kept) > _LONGEST:
                raise ValueError
        line, _, self._kept = self._kept.partition(b"\n")
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError  # noqa: TRY004 - of what came, not of a type in this program
        return message


@contextlib.contextmanager
def meeting(hosts: Hosts, about: Mapping[str, Any], wait: float = WAIT) -> Iterator[list[Peer]]:
    """Wait for all hosts; gives the connections that this one has, which close at the end.

    `about` is what must be the same on all: plain values by what they are called.

    Raises UserError, on every host that is there, where one does not come or is about other things.
    """
    plain = json.loads(json.dumps(about))
    peers = _gather(hosts, plain, wait) if hosts.is_first else [_come(hosts, plain, wait)]
    try:
        yield peers
    finally:
        for peer in peers:
            peer.connection.close()


def _gather(hosts: Hosts, about: dict[str, Any], wait: float) -> list[Peer]:
    peers: dict[str, Peer] = {}
    others, given_up = hosts.addresses[1:], time.monotonic() + wait
    say(f"  {hosts.own} waits up to {wait:.0f} s for {', '.join(others)}")
    try:
        try:
            server = socket.create_server((hosts.own, hosts.port))
        except OSError as error:
            raise UserError(
                f"port {hosts.port} of {hosts.own} cannot be had ({error.strerror}); give another "
                "--port, the same on every host"
            ) from None
        with server:
            while absent := [address for address in others if address not in peers]:
                server.settimeout(max(0.01, given_up - time.monotonic()))
                try:
                    peer = Peer(server.accept()[0])
                except TimeoutError:
                    raise UserError(_absent(hosts, absent, wait)) from None
                try:
                    told = peer.hear(ANSWER)
                    peer.address, theirs = told["host"], dict(told["about"])
                except (OSError, ValueError, KeyError, TypeError):
                    peer.connection.close()  # none of ours
                    continue
                if peer.address not in absent:
                    peer.send(refused=f"{peer.address} is not waited for, or is here already")
                    peer.connection.close()
                    continue
                peers[peer.address] = peer
                if different := _different(about, theirs):
                    raise UserError(
                        f"{peer.address} is about another training than {hosts.own}: {different}; "
                        "give the same toolkit, photos and words on every host"
                    )
    except UserError as error:
        for peer in peers.values():
            peer.send(refused=str(error))
            peer.connection.close()
        raise
    for peer in peers.values():
        peer.send(go=True)
    return list(peers.values())


def _absent(hosts: Hosts, absent: Sequence[str], wait: float) -> str:
    return (
        f"{', '.join(absent)} did not come to {hosts.own}:{hosts.port} within {wait:.0f} s; type "
        "the same command there, and see that a firewall lets the hosts reach each other"
    )


def _different(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    names = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} not {ours.get(name)}" for name in names)


def _come(hosts: Hosts, about: dict[str, Any], wait: float) -> Peer:
    given_up, there = time.monotonic() + wait, (hosts.first, hosts.port)
    say(f"  {hosts.own} looks up to {wait:.0f} s for {hosts.first}:{hosts.port}")
    while True:
        try:
            connection = socket.create_connection(there, timeout=2.0, source_address=(hosts.own, 0))
            break
        except OSError as error:
            if time.monotonic() > given_up:
                raise UserError(
                    f"{hosts.own} found nobody at {hosts.first}:{hosts.port} within {wait:.0f} s "
                    f"({error.strerror or error}); type the same command there, and see that a "
                    "firewall lets the hosts reach each other"
                ) from None
            time.sleep(0.3)
    peer = Peer(connection, hosts.first)
    peer.send(host=hosts.own, about=about)
    try:
        answer = peer.hear(wait + ANSWER)
    except (OSError, ValueError):
        answer = {"refused": f"{hosts.first}:{hosts.port} went away, or is no training of ours"}
    if "refused" in answer:
        connection.close()
        raise UserError(str(answer["refused"]))
    return peer
