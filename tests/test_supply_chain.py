"""docs/supply-chain.md names every place that fetches something, and nothing else does."""

import re
import subprocess

import pytest

from common.paths import ROOT

PAGE = (ROOT / "docs" / "supply-chain.md").read_text()
# Calls of what fetches, and the words by which clients are told to.
FETCHES = re.compile(
    r"\b(?:maven_artifact|npm_archive|pypi_archive)\(|\bfetch\.download\(|\bdebian\.fetch\("
    r'|"--require-hashes"|"apt-get",\s*"download"|:build-classpath|_OPENCV, extension'
)
# Libraries that speak HTTP, or what they are called by.
NETWORK = re.compile(
    r"^\s*(?:import|from) (requests|urllib\.request|http\.client|httpx|aiohttp)\b", re.M
)
# What talks to servers on this machine, and fetches no software.
TALKS = {"benchmarks/faults/commands.py", "deploy/serving/triton.py"}


def sources() -> dict[str, str]:
    """The text of every Python file that is committed or about to be, by its path."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs git, and a clone")
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text() for name in names}


def is_test_of_fetching(name: str) -> bool:
    return name.startswith("tests/") and name.rpartition("/")[2].startswith("test_")


def test_every_place_that_fetches_is_on_the_page():
    found = {
        name
        for name, text in sources().items()
        if FETCHES.search(text) and not is_test_of_fetching(name)
    }
    assert len(found) > 10
    assert not {name for name in found if f"`{name}`" not in PAGE}


def test_nothing_else_speaks_to_a_network():
    found = {
        name
        for name, text in sources().items()
        if NETWORK.search(text) and not name.startswith("tests/")
    }
    assert found == {"common/fetch.py"} | TALKS


def test_the_page_names_files_that_are_there():
    named = re.findall(r"`((?:\w+/)+[\w.-]+\.py)`", PAGE)
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).is_file()]
