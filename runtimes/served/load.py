"""Load on an endpoint: so many requests under way at any time, each of one photo."""

import threading
import time
from collections.abc import Callable

import numpy as np

from common.errors import StepError
from runtimes.served.address import Address
from runtimes.served.client import Client
from runtimes.sessions.served import Session


class Load:
    """Requests to the endpoint that a folder describes, from as many clients as are under way;
    `options` are those of `runtimes.sessions.served.Session`."""

    def __init__(self, **options: object):
        self._session = Session(**options)  # type: ignore[arg-type] # as the parent names them
        self._clients: list[Client] = []
        self._part = np.empty(0)

    def load(self, batch: np.ndarray | list[str]) -> np.ndarray:
        """Keep a photo, as a session takes it; the logits that it gives."""
        self._part = self._session.padded(self._session.part(batch))
        return self._session.run(batch)

    def block(self, concurrency: int, seconds: float) -> tuple[list[float], float]:
        """Ask for so many seconds, with so many requests under way at any time: the milliseconds
        that each took, and those that the block took for all together."""
        while len(self._clients) < concurrency:
            self._clients.append(Client(Address.parse(self._session.about["url"])))
        taken: list[float] = []
        failed: list[Exception] = []
        begin, until = threading.Barrier(concurrency + 1), [0.0]
        threads = [
            threading.Thread(target=_guarded, args=(self._ask, one, begin, until, taken, failed))
            for one in self._clients[:concurrency]
        ]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        until[0] = started + seconds
        begin.wait()
        for thread in threads:
            thread.join()
        whole = time.monotonic() - started
        if failed:
            raise failed[0]
        return taken, 1000 * whole

    def retried(self) -> int:
        """How many requests were sent again so far."""
        return sum(one.retried for one in self._clients)

    def _ask(
        self, client: Client, begin: threading.Barrier, until: list[float], taken: list[float]
    ) -> None:
        begin.wait()
        while (before := time.monotonic()) < until[0]:
            logits = client.infer(self._session.about, self._part)
            taken.append(1000 * (time.monotonic() - before))
            if not np.isfinite(logits).all():
                raise StepError("a logit of the server is not finite")


def _guarded(function: Callable, *arguments: object) -> None:
    """Call a function in a thread; its last argument takes in what it raises."""
    *given, failed = arguments
    try:
        function(*given)
    except Exception as error:  # noqa: BLE001 - raised by who started the thread
        failed.append(error)  # type: ignore[attr-defined]
