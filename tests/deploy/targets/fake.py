"""A target that nobody has: all that a new one takes, and a runtime for it."""

import contextlib
from pathlib import Path

import numpy as np

from convert.artifact import Step, produce
from convert.export import KIND as INFERENCE
from convert.kind import Kind
from deploy.speed.peers import Peer
from deploy.targets.base import Engine, Target, Tool
from runtimes.session_pool import NATIVE, NONE, SessionSpec

_FILE = "model.fake"


class Session:
    def __init__(self, folder, precision, threads):
        self._classes = int((Path(folder) / _FILE).read_text())

    def run(self, batch):
        return np.zeros((len(batch), self._classes), np.float32)

    def environment(self):
        return {"versions": {}}


@contextlib.contextmanager
def _opened(artifact, precision, batch, cores):
    yield lambda: 1000.0


class Fake(Target):
    name = "fake"
    summary = "a board that is on nobody's desk"
    runs_on = "a fake board"
    precisions = ("fp32", "fp4")
    kinds = (INFERENCE, Kind("fake", (_FILE,), shown=_FILE))
    tools = (Tool("rich"),)
    hosts = ("board",)
    engine = Engine("fake-engine", _FILE, lambda path: f"v{path.read_text()}")
    peers = (Peer("the maker's own tool", _opened),)
    methods = ("guess",)

    def build(self, inference, precision, options):
        step = Step("to_fake", inference.build, "fake", precision, {"": inference.key}, {}, {}, ())

        def make(folder):
            (folder / _FILE).write_text(str(inference.facts["class_num"]))
            return inference.inherited_facts

        return produce(step, make, shows=_FILE)

    def session_spec(self, precision):
        return SessionSpec(NONE, reason="no board is here")

    def timed_session_spec(self, precision):
        return SessionSpec(NATIVE, f"{__name__}:Session")
