"""The runner is compiled once for a library; where it cannot be, the sentence says what helps."""

import shutil
from pathlib import Path

import pytest

from common.errors import UserError
from common.paths import cache_root
from runtimes.paddle_lite_arm.library import FILE, find_library
from runtimes.paddle_lite_arm.program import NAME, compiled


def written(path: Path) -> tuple[int, int]:
    """Which file it is, and when it was written; a link to it changes neither."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_it_is_compiled_once_for_each_library(paddle_lite, tmp_path, capsys):
    folder = compiled(find_library(str(paddle_lite)))
    assert {path.name for path in folder.iterdir()} == {NAME, FILE}
    before = written(folder / NAME)
    assert (folder / NAME).read_bytes()[:4] == b"\x7fELF"
    assert written(compiled(find_library(str(paddle_lite))) / NAME) == before
    other = shutil.copytree(paddle_lite, tmp_path / "other")
    header = other / "cxx" / "include" / "paddle_place.h"
    header.write_text(header.read_text() + "// another release\n")
    assert compiled(find_library(str(other))) != folder


def test_without_a_compiler_the_package_is_named(paddle_lite, monkeypatch):
    found = find_library(str(paddle_lite))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"aarch64-linux-gnu-g\+\+.*apt-get install g\+\+-aarch64"):
        compiled(found)
    monkeypatch.setenv("PORTAGE_ARM_CXX", "/no/such/compiler")
    with pytest.raises(UserError, match="PORTAGE_ARM_CXX=/no/such/compiler is no program"):
        compiled(found)


def test_headers_of_something_else_are_a_sentence(paddle_lite, tmp_path):
    other = shutil.copytree(paddle_lite, tmp_path / "other")
    (other / "cxx" / "include" / "paddle_api.h").write_text("#pragma once\n")
    runners = cache_root() / "paddle-lite-arm" / "runners"
    kept = set(runners.glob("*/*"))
    with pytest.raises(UserError) as caught:
        compiled(find_library(str(other)))
    assert "error:" in str(caught.value)
    assert str(caught.value).endswith("with the headers of its library?")
    assert "\n" not in str(caught.value)
    assert set(runners.glob("*/*")) == kept
