"""All kinds of files that a campaign damages."""

from benchmarks.faults import checkpoints, kept, native, photos, received
from benchmarks.faults.kinds import Kind


def all_kinds() -> list[Kind]:
    return [kind for one in (checkpoints, photos, received, kept, native) for kind in one.kinds()]
