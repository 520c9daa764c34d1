"""Where a model is served, and what must not stand on a command line: the token, the authority."""

import os
import socket
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError

TOKEN = "PORTAGE_SERVED_TOKEN"
CA = "PORTAGE_SERVED_CA"
TIMEOUT = "PORTAGE_SERVED_TIMEOUT"
SCHEMES = ("http", "https", "grpc", "grpcs")

_PORTS = {"http": 80, "https": 443, "grpcs": 443}
_FORM = "write URL=http://host:8000 or URL=grpc://host:8001 (with TLS https:// or grpcs://)"
_STARTS = 5.0  # seconds that a server which was just started may take to listen
_SECONDS = 60.0  # that an answer may take, and that a restart may


@dataclass(frozen=True)
class Address:
    """An endpoint: `scheme` is one of SCHEMES, `path` what stands before "/v2", "" or "/a/path"."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address in a URL; UserError, which does not repeat the URL where it may hold a
        secret."""
        try:
            parts = urllib.parse.urlsplit(text)
            port = parts.port
        except ValueError:
            raise UserError(f"'{text.rpartition('@')[2]}' is no URL: {_FORM}") from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise UserError(
                "a URL with a user, a password or parameters shows them to everybody on this "
                f"machine: leave them out, and give a token as {TOKEN}=… in the environment"
            )
        port = port or _PORTS.get(parts.scheme)
        if parts.scheme not in SCHEMES or not parts.hostname or not port:
            raise UserError(f"'{text}' names no endpoint: {_FORM}")
        path = parts.path.rstrip("/")
        if path == "/v2" or "/v2/" in path or path.endswith("/v2"):
            raise UserError(f"'{text}': give what stands before /v2, which the protocol adds")
        if path and parts.scheme.startswith("grpc"):
            raise UserError(f"'{text}': gRPC has no paths: leave out '{path}'")
        return cls(parts.scheme, parts.hostname, port, path)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.place}"

    @property
    def place(self) -> str:
        """The URL without its scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"

    @property
    def grpc(self) -> bool:
        return self.scheme.startswith("grpc")

    @property
    def encrypted(self) -> bool:
        return self.scheme.endswith("s")

    @property
    def label(self) -> str:
        """It as a part of a file's name."""
        return "".join(one if one.isalnum() or one in ".-" else "-" for one in self.place)

    def check(self) -> None:
        """Raise UserError where nobody listens there, or what is set for it cannot be used."""
        token(self)
        authority()
        timeout()
        end = time.monotonic() + _STARTS
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=_STARTS).close()
                return
            except OSError as error:
                if isinstance(error, socket.gaierror) or time.monotonic() > end:
                    why = (error.strerror or str(error)).lower()
                    raise UserError(
                        f"nobody answers at {self.url} ({why}): start the server, or name another: "
                        "URL=…"
                    ) from None
                time.sleep(0.25)


def token(address: Address) -> str | None:
    """The bearer token to send there; UserError where it would travel readable, or is none."""
    found = os.environ.get(TOKEN, "").strip()
    if not found:
        return None
    if not (found.isascii() and found.isprintable()):
        raise UserError(f"{TOKEN} holds what no HTTP header can: give the token alone, on one line")
    if not address.encrypted and address.host not in ("localhost", "127.0.0.1", "::1"):
        raise UserError(
            f"{TOKEN} would travel readable to {address.url}: use {address.scheme}s://, or unset it"
        )
    return found


def authority() -> str | None:
    """The file with the certificates to trust; None: those of the system."""
    found = os.environ.get(CA)
    if found and not Path(found).is_file():
        raise UserError(f"{CA}={found}: there is no such file; name one with PEM certificates")
    return found or None


def timeout() -> float:
    """The seconds that an answer may take, and that a server may be away."""
    text = os.environ.get(TIMEOUT)
    try:
        seconds = float(text) if text else _SECONDS
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise UserError(f"{TIMEOUT}={text}: give a number of seconds above 0, at most 3600")
    return seconds
