"""A model in production, behind any endpoint of KServe v2: judged as it is there."""

from pathlib import Path

from common import files
from convert.artifact import Artifact, Step, produce
from convert.export import KIND as INFERENCE
from convert.kind import Kind
from deploy.targets.base import Options, Target, Tool
from runtimes.environments import SERVE
from runtimes.hosts.base import Host
from runtimes.hosts.endpoint import Endpoint
from runtimes.served.address import Address
from runtimes.session_pool import NONE, SERVED, SessionSpec
from runtimes.worker import Worker

FILE = "endpoint.json"  # what a server says of its model (`runtimes.served.description`)
KIND = Kind("served", (FILE,), shown=FILE)
SESSION = "runtimes.sessions.served:Session"
_ASK = "it is judged where it is served: make validate TARGET=served URL=http://host:8000"


class Served(Target):
    """What is served at an address (None: none is named yet), by the name of the build or another.

    A precision is what was put there: a server does not say, and the gate depends on it.
    """

    name = "served"
    summary = "what is in production, behind any KServe v2 endpoint (URL=…)"
    runs_on = (
        "any server that speaks KServe v2 (Open Inference Protocol), over HTTP or gRPC (`URL=`); "
        "`PRECISION=` says what was put there"
    )
    precisions = ("fp32", "bf16", "fp16", "int8")
    on_request = ("bf16", "fp16", "int8")
    kinds = (INFERENCE, KIND)
    tools = (Tool("tritonclient", SERVE),)
    hosts = ("served",)
    elsewhere = True

    def __init__(self, address: Address | None = None, model_name: str | None = None):
        self.address = address
        self._model_name = model_name

    def at(self, address: Address, model_name: str | None) -> "Served":
        """The same at an address, where the model has this name (None: the build's)."""
        return Served(address, model_name)

    def host_problem(self, host: Host) -> str | None:
        return "it runs where it is served: leave HOST= out"

    def problem(self) -> str | None:
        return None if self.address else _ASK

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        """What the server says of the model, once it is seen to be one of such photos and classes;
        UserError where it is not."""
        assert self.address  # else there is a problem
        name = self._model_name or inference.name
        with Worker("serve", f"asking {self.address.url} for its model") as worker:
            about = worker.call(
                "runtimes.served.client:described",
                url=self.address.url,
                name=name,
                classes=inference.facts["class_num"],
                side=inference.preprocess.crop,
            )
        step = Step(
            name="described",
            build=inference.build,
            kind=KIND.name,
            precision=precision,
            inputs={"inference": inference.key},
            parameters={"endpoint": about},
            tools={},
            code=(Served.build,),
        )

        def make(folder: Path) -> dict:
            files.write_json(folder / FILE, about)
            return {**inference.inherited_facts, "takes": about["takes"]}

        return produce(step, make, shows=FILE)

    def session_spec(self, precision: str) -> SessionSpec:
        if self.address is None:
            return SessionSpec(NONE, reason=_ASK)
        return SessionSpec(
            SERVED,
            SESSION,
            "serve",
            options={"url": self.address.url},
            batch=_BATCH,
            host=Endpoint(self.address, self._model_name),
        )


_BATCH = 8  # photos on their way to the session, which sends what the server takes at once
