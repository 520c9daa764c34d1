"""Paths as users give them."""

import os
from pathlib import Path

import pytest

from common import paths
from common.errors import UserError


def test_paths_start_from_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of-mine")
    assert paths.absolute("weights/mine") == tmp_path / "weights" / "mine"
    assert paths.absolute("~/photos") == Path("/home/of-mine/photos")
    assert paths.absolute("/a/~") == Path("/a/~")


def test_variables_too_and_for_children(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of-mine")
    monkeypatch.setenv("BUILD_DIR", "out")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/c")
    monkeypatch.setenv("WEIGHTS_DIR", "")
    assert paths.build_root() == tmp_path / "out"
    assert paths.cache_root() == Path("/home/of-mine/c/paddle-portage")
    assert paths.given("WEIGHTS_DIR") is None
    monkeypatch.setenv("PORTAGE_PYTHON_LITE", "python3.7")
    monkeypatch.setenv("PORTAGE_PYTHON_TRT", "~/bin/python")
    paths.settle_variables()
    assert os.environ["PORTAGE_PYTHON_LITE"] == "python3.7"
    assert os.environ["PORTAGE_PYTHON_TRT"] == "/home/of-mine/bin/python"
    assert os.environ["BUILD_DIR"] == str(tmp_path / "out")
    assert os.environ["XDG_CACHE_HOME"] == "/home/of-mine/c"
    assert os.environ["WEIGHTS_DIR"] == ""


def test_places_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="~nobody-of-that-name/x: no such home folder"):
        paths.absolute("~nobody-of-that-name/x")
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(UserError, match="the working folder is gone"):
        paths.absolute("photos")


def test_no_home_at_all(monkeypatch):
    def unknown():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(UserError, match="HOME="):
        paths.cache_root()
