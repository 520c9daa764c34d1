"""A machine that child processes run on."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.process import end_group, ending
from runtimes.environments import MAIN, Environment
from runtimes.worker_protocol import Channel


@dataclass(frozen=True)
class Child:
    """A started interpreter that serves calls: its process here leads a process group.

    What it prints goes into the file `log`; `clean` removes what it needed while it ran.
    """

    process: subprocess.Popen
    channel: Channel
    log: Path
    clean: Callable[[], None]

    def end(self) -> None:
        # Foreign runtimes crash in their destructors too: the work is done, so no waiting.
        end_group(self.process, grace=0)
        self.channel.close()
        self.clean()


@dataclass(frozen=True)
class Check:
    """Something that a host takes: what was found of it, and the problem with it, if any."""

    what: str
    found: str
    problem: str | None = None


class Host(ABC):
    """What a machine is, and how programs are started there.

    `name` is what HOST= calls it: its kind and, where there are several of a kind, a colon and
    which. It `emulates` where another processor executes its instructions. `patience` is how many
    times longer than on real hardware an answer may take there.
    """

    name: str
    emulates: bool = False
    patience: float = 1.0

    @property
    def kind(self) -> str:
        """What kind of host it is."""
        return self.name.partition(":")[0]

    @property
    def label(self) -> str:
        """It, and its processor where that is chosen, as a part of a file's name; "": this one."""
        return self.name

    @property
    @abstractmethod
    def model(self) -> str:
        """The processor's name."""

    @property
    @abstractmethod
    def isa(self) -> list[str]:
        """Its vector extensions, by Linux' names."""

    @property
    @abstractmethod
    def cores(self) -> int:
        """The number of cores that children may use."""

    @abstractmethod
    def problem(self, environment: Environment) -> str | None:
        """Why an environment cannot be used there, with what would mend it; None when it can."""

    def program_problem(self) -> str | None:
        """Why no program can be started there either, Python or not; None when one can."""
        return self.problem(MAIN)

    def python_problem(self) -> str | None:
        """Why Python cannot be used there although other programs can; None when it can."""
        return None

    def checks(self) -> list[Check]:
        """What it takes to run targets there, one by one; UserError where it cannot be reached."""
        instructions = ", ".join(self.isa) or "none of those that matter"
        return [
            Check("processor", f"{self.model}, {self.cores} cores", self.program_problem()),
            Check("instructions", instructions),
        ]

    def ending(self, status: int) -> str:
        """How a child ended, by the status of its process here."""
        return ending(status)

    def lost(self, doing: str, status: int, said: str) -> UserError | None:
        """The error to raise where it is not a child that failed, but the way to it.

        `doing` is what the child did, `said` what it, or the way, printed.
        """
        return None

    def bring(self, path: Path) -> str:
        """The path there of a file or folder of this machine, copied where it has to be."""
        return str(path)

    @abstractmethod
    def command(self, words: Sequence[str | Path]) -> list[str]:
        """The command here that runs a program there: words, with paths as they are there."""

    @abstractmethod
    def start(self, environment: Environment, settings: Mapping[str, str]) -> Child:
        """Start an environment's interpreter on `worker_protocol.main`.

        `settings` are added to the environment variables. The child ends when this process does.
        """
