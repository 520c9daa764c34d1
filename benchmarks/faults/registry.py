"""All kinds of files that a campaign damages."""

from benchmarks.faults import checkpoints, kept, native, photos, received, requests
from benchmarks.faults.kinds import Kind
from runtimes.environments import SERVE


def all_kinds() -> list[Kind]:
    """Requests among them where there is a server."""
    rooms = [checkpoints, photos, received, kept, native, *([] if SERVE.problem() else [requests])]
    return [kind for one in rooms for kind in one.kinds()]
