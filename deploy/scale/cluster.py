"""A Ray cluster, from a process in .venv-ray: which nodes can work, and their jobs.

Ray decides what runs where, and runs again what was on a node that it lost. What is ours: only
nodes that have this very toolkit, and every input, are asked.
"""

import contextlib
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from common.errors import UserError
from deploy.scale import node
from deploy.scale.node import Inputs

_CLIENT = "ray://"
_REACHED = 5.0  # seconds
_TRIES = 3  # of a cell whose node is lost
_CPUS = 2  # of a cell, where the nodes have so many
_MOST = 2 << 30  # bytes of an input, which goes through memory where it travels
_A_LITTLE = 0.001  # of a resource that only says what a node is; a card's is taken whole
_CARD = "accelerator_type:"
_NONE_LEFT = "no node is left that could run it"
_ASKED = 10.0  # seconds, in which a node says what it runs
_A_MOMENT = 1.0  # seconds, which a free node is found in
_NODE_ID = "ray.io/node-id"


class Cluster:
    """A connection to a cluster. `wait` is how long, in seconds, a resource may be offered by no
    node before what needs it is given up."""

    def __init__(self, address: str, root: str, wait: float):
        import ray

        ray.cloudpickle.register_pickle_by_value(node)
        try:
            if address.startswith(_CLIENT):  # which tries for half a minute
                host, _, port = address.removeprefix(_CLIENT).rpartition(":")
                socket.create_connection((host, int(port)), _REACHED).close()
            ray.init(address, log_to_driver=False, logging_level="error")
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"no Ray cluster answers at {address}: {told}") from None
        self._root, self._wait = root, wait
        self._nodes: dict[str, dict[str, Any]] = {}
        self._running: dict[Any, int] = {}
        self._held: dict[int, float] = {}  # since when
        self._jobs: dict[int, dict[str, Any]] = {}
        self._places: dict[str, dict[str, str]] = {}
        self._sources: dict[str, str] = {}
        self._rooms: dict[tuple[str, ...], Any] = {}  # None: there was room
        self._run = self._new_function()
        self._none_since: float | None = None
        self._gone: set[str] = set()  # the nodes whose jobs were looked for elsewhere
        self._driver = uuid.uuid4().hex

    def join(self, toolkit: str, inputs: Inputs, limit: float = 300) -> list[dict]:
        """Ask every node what it has, and send it the inputs that it lacks, beside those of before.

        Returns a fact sheet each: name, cpus, and `problem`, why it cannot work, or `sent`, how
        many inputs went there.
        """
        import ray

        self._nodes = {}
        self._sources |= {digest: folder for digest, (folder, _) in inputs.items()}
        alive = {one["NodeID"]: one for one in ray.nodes() if one["Alive"]}
        ask = ray.remote(num_cpus=0, max_retries=0)(node.describe)
        asked = {name: _at(ask, name).remote(self._root, inputs) for name in alive}
        archives: dict[str, Any] = {}
        sheets = []
        for name, question in asked.items():
            sheet = {"id": name, "cpus": alive[name]["Resources"].get("CPU", 0), "sent": 0}
            try:
                sheet |= ray.get(question, timeout=limit)
                if "problem" not in sheet and not sheet["cpus"]:  # as many a head node
                    sheet["problem"] = "it offers no processor"
                if "problem" not in sheet and sheet["toolkit"] != toolkit:
                    sheet["problem"] = (
                        f"another toolkit at {sheet['root']} (its files' sha256 begin with "
                        f"{sheet['toolkit'][:12]}, here with {toolkit[:12]}): bring it up to date"
                    )
                if "problem" not in sheet:
                    sheet["sent"] = self._send(name, sheet, inputs, archives, limit)
            except (ray.exceptions.RayError, OSError) as error:
                sheet["problem"] = _first_line(error)
            sheet.setdefault("name", alive[name].get("NodeManagerHostname", name[:6]))
            sheet["name"] = f"{sheet['name']}:{name[:6]}"
            if "problem" not in sheet:
                self._nodes[name] = sheet
                self._places[name] = self._places.get(name, {}) | sheet["inputs"]
            sheets.append(sheet)
        return sheets

    def _send(
        self,
        name: str,
        sheet: dict[str, Any],
        inputs: Inputs,
        archives: dict[str, Any],
        limit: float,
    ) -> int:
        """Bring a node what it lacks; an archive goes into Ray's store once, and to a node once."""
        import ray

        take = ray.remote(num_cpus=0, max_retries=0)(node.receive)
        lacking = [digest for digest, path in sheet["inputs"].items() if path is None]
        for digest in lacking:
            folder, names = inputs[digest]
            size = sum((Path(folder) / one).stat().st_size for one in names)
            if size > _MOST:
                raise OSError(
                    f"it has no {folder} as it is here, whose {size / 1e9:.1f} GB are too much to "
                    "send: put it there, at the same path"
                )
            if digest not in archives:
                archives[digest] = ray.put(node.packed(folder, names))
            sent = _at(take, name).remote(digest, Path(folder).name, names, archives[digest])
            sheet["inputs"][digest] = ray.get(sent, timeout=limit)
        return len(lacking)

    def submit(self, jobs: list[dict]) -> None:
        """Give Ray the jobs. Each has `words`, of which those that are an input's digest stand for
        its path on the node, `needs`: the resources that it asks for beside processors, and
        `build`, see `node.run_job`. One whose resources no node offers, or none has free, is held
        back: Ray would refuse it, or keep it for good."""
        self._jobs = dict(enumerate(jobs))
        self._held = dict.fromkeys(self._jobs, time.monotonic())
        self._rooms = {}
        self._start_what_can()

    def cpus(self) -> float:
        """The processors that a job asks for."""
        return min(_CPUS, *(sheet["cpus"] for sheet in self._nodes.values()))

    def slots(self) -> int:
        """How many jobs the nodes have room for, if nobody else is there."""
        each = self.cpus()
        return sum(int(sheet["cpus"] // each) for sheet in self._nodes.values())

    def _start_what_can(self) -> list[dict]:
        """Start the jobs that some node can take now; those that none could for too long."""
        nodes = self._alive()
        events = []
        for number, since in list(self._held.items()):
            needs = self._jobs[number]["needs"]
            lacking = [one for one in needs if not any(one in has for has in nodes)]
            if not lacking and nodes and self._has_room(needs):
                del self._held[number]
                self._running[self._start(number)] = number
            elif not lacking and nodes and self._running:
                self._held[number] = time.monotonic()  # it is ours that take the room
            elif time.monotonic() - since > self._wait:
                del self._held[number]
                room = f"had {_processors(self.cpus())} free"
                absent = f"no node {f'offered {lacking[0]}' if lacking else room}"
                told = {"absent": absent} if nodes else {"lost": _NONE_LEFT}
                events.append({"job": number} | told)
        return events

    def _has_room(self, needs: list[str]) -> bool:
        """Whether what a job needs was free since the jobs were submitted. It is reserved for a
        moment to find out: a task that waits does not say so."""
        from ray.util import placement_group, placement_group_table, remove_placement_group

        key = tuple(needs)
        if key not in self._rooms:
            asked = self._options(needs)
            wanted = {"CPU": asked["num_cpus"], "GPU": asked["num_gpus"]} | asked["resources"]
            bundle = {name: amount for name, amount in wanted.items() if amount}
            where = [asked["label_selector"]]
            group = placement_group([bundle], bundle_label_selector=where)
            self._rooms[key] = group
            group.wait(_A_MOMENT)
        group = self._rooms[key]
        if group is not None and placement_group_table(group)["state"] == "CREATED":
            remove_placement_group(group)
            self._rooms[key] = None
        return self._rooms[key] is None

    def _options(self, needs: list[str]) -> dict[str, Any]:
        """What is asked of Ray for a job."""
        return {
            "num_cpus": self.cpus(),
            "label_selector": {_NODE_ID: f"in({','.join(self._nodes)})"},
            "resources": dict.fromkeys(needs, _A_LITTLE),
            "num_gpus": int(any(one.startswith(_CARD) for one in needs)),
        }

    def _start(self, number: int) -> Any:
        job = self._jobs[number]
        run = self._run.options(**self._options(job["needs"]))
        return run.remote(
            *(self._root, job["words"], job["build"], self._places, self._sources),
            self._known_as(number),
        )

    @staticmethod
    def _new_function() -> Any:
        """`node.run_job`, as another function than those before: Ray asks for room by function, and
        what it asked a node that is gone for may still be under way."""
        import ray

        return ray.remote(max_retries=_TRIES)(node.run_job)

    def _known_as(self, number: int) -> str:
        return f"{self._driver}/{number}"

    def _alive(self) -> list[dict[str, float]]:
        """The resources of the nodes that can work and are still there."""
        return list(self._resources().values())

    def _resources(self) -> dict[str, dict[str, float]]:
        import ray

        there = {one["NodeID"]: one["Resources"] for one in ray.nodes() if one["Alive"]}
        return {name: there[name] for name in self._nodes if name in there}

    def _leave_the_gone(self) -> None:
        """Start the jobs again that ran on a node which Ray gave up.

        Where its connections broke Ray has done so. Where a network swallows what is sent, no
        connection breaks, and Ray would wait for the job for minutes more.
        """
        import ray

        alive = self._resources()
        gone = self._nodes.keys() - alive - self._gone
        if not gone or not alive or not self._running:
            return
        ask = ray.remote(num_cpus=0, max_retries=0)(node.jobs_here)
        try:
            found = ray.get([_at(ask, name).remote() for name in alive], timeout=_ASKED)
        except ray.exceptions.RayError:  # one is going, too: the next time
            return
        self._gone |= gone
        self._run = self._new_function()
        elsewhere = {job for jobs in found for job in jobs}
        for number in list(self._running.values()):
            if self._known_as(number) not in elsewhere:
                self._cancel(number)
                self._running[self._start(number)] = number

    def poll(self, seconds: float) -> list[dict]:
        """What came to an end within so many seconds: `job`, its number, with what the command
        printed (see `node.run_command`) and `node`, or with `absent`, what no node had for too
        long, or `lost`, why it came to nothing."""
        import ray

        if self._running:
            done, _ = ray.wait(list(self._running), timeout=seconds)
        else:
            done = []
            time.sleep(seconds)
        events = []
        for reference in done:
            number = self._running.pop(reference)
            try:
                told = ray.get(reference)
                name = self._nodes[told["node"]]["name"]
                events.append(told | {"job": number, "node": name})
            except ray.exceptions.RayError as error:
                events.append({"job": number, "lost": _first_line(error)})
        self._leave_the_gone()
        return events + self._start_what_can() + self._lost()

    def _lost(self) -> list[dict]:
        """The running jobs, where no node has been left to run them for too long."""
        if self._alive():
            self._none_since = None
            return []
        self._none_since = self._none_since or time.monotonic()
        if time.monotonic() - self._none_since < self._wait:
            return []
        numbers = list(self._running.values())
        for number in numbers:
            self._cancel(number)
        return [{"job": number, "lost": _NONE_LEFT} for number in numbers]

    def _cancel(self, number: int) -> None:
        import ray

        for reference in [one for one, of in self._running.items() if of == number]:
            del self._running[reference]
            with contextlib.suppress(ray.exceptions.RayError, TypeError, ValueError):
                ray.cancel(reference)

    def cancel(self) -> None:
        """Cancel what runs and what waits."""
        from ray.util import remove_placement_group

        self._held = {}
        for number in list(self._running.values()):
            self._cancel(number)
        for group in filter(None, self._rooms.values()):
            remove_placement_group(group)
        self._rooms = {}

    def close(self) -> None:
        """Cancel everything, and leave the cluster."""
        import ray

        self.cancel()
        ray.shutdown()


def _at(function: Any, name: str) -> Any:
    """A remote function on this node only."""
    return function.options(label_selector={_NODE_ID: name})


def _processors(count: float) -> str:
    return "a processor" if count == 1 else f"{count:g} processors"


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
