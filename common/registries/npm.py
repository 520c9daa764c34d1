"""Archives from the npm registry."""

import json
from pathlib import Path

from common.process import Completed, last_line
from common.registries.client import Client


def npm_archive(name: str, version: str, sha256: str, *, timeout: float = 900.0) -> Path:
    """A package's archive (.tgz), as `Client.archive` gives it.

    Nothing is installed and none of its code runs.
    """
    package = f"{name}@{version}"
    # With --json a failure is a JSON object whose summary is one sentence.
    words = ["pack", package, "--json", "--ignore-scripts", "--no-update-notifier"]
    return _NPM.archive(f"{name}-{version}.tgz", package, words, sha256, timeout)


def _complaint(done: Completed) -> str | None:
    try:
        return json.loads(done.stdout)["error"]["summary"]
    except (ValueError, KeyError, TypeError):
        return last_line(Completed(done.status, stderr=done.stderr))


_NPM = Client("npm", "Node.js", "the npm registry", _complaint)
