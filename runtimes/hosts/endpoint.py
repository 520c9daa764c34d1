"""A server that others run: sessions here ask it, and what it computes with nobody says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes.environments import Environment
from runtimes.hosts.base import Child, Host
from runtimes.hosts.local import LOCAL
from runtimes.served.address import Address


class Endpoint(Host):
    """The server at an address, which its `name` is; `model_name` is that of a model there, where
    it is asked for by a name of its own."""

    def __init__(self, address: Address, model_name: str | None):
        self.name = address.url
        self._label = "-".join(filter(None, (address.label, model_name)))

    @property
    def label(self) -> str:
        return self._label.replace("/", "-")

    @property
    def model(self) -> str:
        return "unknown, as the server does not say"

    @property
    def isa(self) -> list[str]:
        return []

    @property
    def cores(self) -> int:
        return LOCAL.cores

    def problem(self, environment: Environment) -> str | None:
        return LOCAL.problem(environment)

    def command(self, words: Sequence[str | Path]) -> list[str]:
        return LOCAL.command(words)

    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        return LOCAL.start(environment, settings)
