"""A board on this machine's loopback address: an sshd with keys and settings of its own."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from runtimes.hosts import ssh

_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_SSHD = shutil.which("sshd", path=_PLACES)
NAME = "board"

_SETTINGS = """
ListenAddress 127.0.0.1:{port}
HostKey {keys}/host
AuthorizedKeysFile {keys}/user.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
{more}
"""
_CONFIG = """
Host {name}
  HostName 127.0.0.1
  Port {port}
  IdentityFile {keys}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""
# What a board without Python has.
_TOOLS = ("cat", "grep", "lscpu", "mkdir", "mv", "nproc", "rm", "sed", "sh", "tar", "tr", "uname")


def problem() -> str | None:
    """Why there can be no such board; None where there can."""
    if not (_SSHD and shutil.which("ssh") and shutil.which("ssh-keygen")):
        return "no sshd is on this machine (Debian: apt-get install openssh-server)"
    return None


def make_keys(folder: Path) -> Path:
    """Key pairs of a server and a user, and of a stranger who may be either."""
    for name in ("host", "user", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)
    return folder


class Sshd:
    """One that runs; `cache` is the folder that it gives its users for ours to be made in."""

    def __init__(self, folder: Path, keys: Path, port: int, process: psutil.Process):
        self.folder, self.keys, self.port = folder, keys, port
        self.config = folder / "config"
        self.cache = folder / "there"
        self.parts = self.cache / "paddle-portage-board"
        self._process = process
        self.know(keys / "host.pub")
        self.configure()

    def know(self, key: Path | None) -> None:
        """Let the client know this host key, or none."""
        line = f"[127.0.0.1]:{self.port} {key.read_text()}" if key else ""
        (self.folder / "known_hosts").write_text(line)

    def configure(self, more: str = "", **changed: object) -> None:
        """Write the client's settings, some of them changed."""
        values = {"name": NAME, "port": self.port, "keys": self.keys, "folder": self.folder}
        self.config.write_text(more + _CONFIG.format(**values | changed))

    def sessions(self) -> list[psutil.Process]:
        """The server's processes that hold connections."""
        found = []
        for one in self._process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself just now
                if one.name() == "sshd":
                    found.append(one)
        return found

    def cut(self) -> None:
        """Cut all connections, as when a board loses its power."""
        for one in self.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()

    def left(self) -> list[str]:
        """What is there."""
        return sorted(path.name for path in self.parts.glob("*")) + [
            path.name for path in self.parts.glob(".*")
        ]

    def bring_packages(self) -> Path:
        """This interpreter's own packages, in place of those that would be fetched."""
        glibc = int(platform.libc_ver()[1].split(".")[1])
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        there = self.parts / ssh.packages_part(platform.machine(), version, glibc)
        there.parent.mkdir(parents=True, exist_ok=True)
        own = next(Path(place) for place in sys.path if place.endswith("site-packages"))
        there.symlink_to(own)
        return there


@contextlib.contextmanager
def sshd(folder: Path, keys: Path, path: str | None = None, force: str = "") -> Iterator[Sshd]:
    """Start one; `path` is where its users find programs (None: this Python first), and `force` a
    command that is run in place of theirs, which is in $SSH_ORIGINAL_COMMAND."""
    assert _SSHD
    if os.geteuid() == 0:  # it then wants the folder that the system's own service makes
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A home of its own: the user's has start-up files, which may change the path.
    own = {"HOME": folder / "home", "XDG_CACHE_HOME": folder / "there", "PATH": path or own_path()}
    variables = " ".join(f'"{name}={value}"' for name, value in own.items())
    more = f"SetEnv {variables}\n" + (f"ForceCommand {force}\n" if force else "")
    settings = folder / "sshd_config"
    settings.write_text(_SETTINGS.format(port=port, keys=keys, more=more))
    with (folder / "sshd.log").open("w") as log:
        command = [_SSHD, "-D", "-e", "-f", settings]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
    try:
        _wait(process, port, folder / "sshd.log")
        made = Sshd(folder, keys, port, psutil.Process(process.pid))
        yield made
        made.cut()
    finally:
        process.kill()
        process.wait()


def own_path() -> str:
    return f"{Path(sys.executable).parent}:/usr/bin:/bin"


def bare_path(folder: Path, **programs: str) -> str:
    """A path with what a board without Python has, and with shell scripts by name."""
    folder.mkdir()
    for name in _TOOLS:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    for name, script in programs.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    given_up = time.monotonic() + 20
    while time.monotonic() < given_up and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"sshd does not start: {log.read_text()}")
