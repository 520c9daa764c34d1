"""A runtime as it comes, timed as ours are: what has no measuring tool of its own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from convert.artifact import Artifact
from deploy.speed import latency
from deploy.speed.peers import Peer
from runtimes.session_pool import NATIVE, SessionSpec


def peer_of(name: str, session: str) -> Peer:
    """The peer whose session, named "module:name", is opened in a child process."""

    @contextlib.contextmanager
    def opened(
        artifact: Artifact, precision: str, batch: int, cores: Sequence[int]
    ) -> Iterator[Callable[[], float]]:
        session_spec = SessionSpec(NATIVE, session)
        with latency.open_timer(session_spec, artifact, precision, batch, cores) as timer:
            yield timer.median

    return Peer(name, opened)
