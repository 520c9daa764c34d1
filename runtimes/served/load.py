"""Load on an endpoint: so many requests under way at any time, each of one photo."""

import threading
import time

import numpy as np

from runtimes.served.address import Address
from runtimes.served.client import Client
from runtimes.sessions.served import Session


class Load:
    """Requests to the endpoint that a folder describes, from as many clients as are under way;
    `options` are those of `runtimes.sessions.served.Session`."""

    def __init__(self, **options: object):
        self._session = Session(**options)  # type: ignore[arg-type] # as the parent names them
        self._part = np.empty(0)
        self._retried = 0

    def load(self, batch: np.ndarray | list[str]) -> np.ndarray:
        """Keep a photo, as a session takes it; the logits that it gives."""
        self._part = self._session.padded(self._session.part(batch))
        return self._session.run(batch)

    def block(self, concurrency: int, seconds: float) -> tuple[list[float], float]:
        """Ask for so many seconds, with so many requests under way at any time: the milliseconds
        that each took, and those that the block took for all together."""
        taken: list[float] = []
        failed: list[Exception] = []
        begin = threading.Barrier(concurrency + 1)

        def ask() -> None:
            # A client stays in its thread, as the library's connections do.
            client = Client(Address.parse(self._session.about["url"]))
            try:
                try:
                    client.infer(self._session.about, self._part)  # connects
                finally:
                    begin.wait()
                until = time.monotonic() + seconds
                while (before := time.monotonic()) < until:
                    client.infer(self._session.about, self._part)
                    taken.append(1000 * (time.monotonic() - before))
            except Exception as error:  # noqa: BLE001 - raised in the thread that waits
                failed.append(error)
            finally:
                self._retried += client.retried
                client.close()

        threads = [threading.Thread(target=ask) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        begin.wait()
        started = time.monotonic()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return taken, 1000 * (time.monotonic() - started)

    def retried(self) -> int:
        """How many requests were sent again so far."""
        return self._retried
