"""Archives from package registries, fetched by a registry's own client with the user's settings."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import files, process
from common.console import say
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import cache_root


@dataclass(frozen=True)
class Client:
    """A program that fetches from a registry, and what brings it."""

    program: str
    brought_by: str
    registry: str
    complaint: Callable[[process.Completed], str | None]  # in its own words, if any

    def archive(
        self,
        name: str,
        package: str,
        words: Sequence[str],
        sha256: str,
        timeout: float,
        kept: Path | None = None,
    ) -> Path:
        """The archive `name` with exactly this hash, in the cache's `packages` folder.

        The program's `words` put it into the current folder; it is not started where the archive
        lies in its own folder, `kept`. `timeout` is in seconds. Raises UserError, which says what
        to do, when the archive cannot be had or is another one.
        """
        folder = cache_root() / "packages"
        archive = folder / name
        with files.locked(folder / f".{name}.lock"):
            if archive.is_file() and cached_sha256(archive) == sha256:
                return archive
            scratch = folder / f".{name}.part"
            shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
            scratch.mkdir()
            fetched = scratch / name
            try:
                if kept and kept.is_file() and files.sha256(kept) == sha256:
                    shutil.copyfile(kept, fetched)
                else:
                    by_hand = f"or put {name} into {folder}"
                    self._fetch(fetched, package, words, timeout, by_hand)
                digest = files.sha256(fetched)
                if digest != sha256:
                    raise UserError(
                        f"{name} from {self.registry} is not the expected file: its sha256 is "
                        f"{digest}, not {sha256}; see which registry {self.program} is set up for"
                    )
                fetched.replace(archive)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        return archive

    def _fetch(
        self, fetched: Path, package: str, words: Sequence[str], timeout: float, by_hand: str
    ) -> None:
        program = shutil.which(self.program)
        if program is None:
            raise UserError(
                f"{self.program}, which fetches {package}, is not on this machine; install "
                f"{self.brought_by}, {by_hand}"
            )
        say(f"  fetching {package} with {self.program}, once")
        what = f"{self.program} cannot fetch {package}"
        remedy = f"check the network and {self.program}'s settings, {by_hand}"
        done = process.run(
            [program, *words],
            what=what,
            limit=timeout,
            error=UserError,
            telling=self.complaint,
            remedy=remedy,
            folder=fetched.parent,
        )
        if not fetched.is_file():
            how = f"it ended with status {done.status}, without the file"
            raise UserError(process.sentence(what, how, self.complaint(done), remedy))
