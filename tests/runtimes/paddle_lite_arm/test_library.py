"""Paddle Lite's library for ARM, as users give it: what fits is taken, all else is a sentence."""

import re
import shutil

import pytest

from common.errors import UserError
from common.paths import cache_root
from runtimes.environments import LITE
from runtimes.paddle_lite_arm import library
from runtimes.paddle_lite_arm.library import FILE, find_library
from tests.runtimes import stand_in


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(paddle_lite, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(paddle_lite, tmp_path / "given")


def test_an_archive_and_its_folder_are_the_same_library(paddle_lite, tmp_path):
    archive = stand_in.packed(paddle_lite, tmp_path / "a.tar.gz")
    found = find_library(str(archive))
    assert found.system == "linux"
    assert found.file.is_relative_to(cache_root())
    assert (found.include / "paddle_api.h").is_file()
    for path in (paddle_lite, paddle_lite / "cxx"):
        assert find_library(str(path)).sha256 == found.sha256
        assert find_library(str(path)).file == paddle_lite / "cxx" / "lib" / FILE


def test_a_relative_path_is_from_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert find_library("given").file == folder / "cxx" / "lib" / FILE


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"\xb7\x00", b"\x3e\x00", "for x86_64 and not for 64-bit ARM"),
        (b"\xb7\x00", b"\x28\x00", "for armeabi-v7a and not for 64-bit ARM"),
        (b"\x7fELF", b"text", "no library, or a damaged one"),
    ],
)
def test_a_library_for_something_else_is_refused(folder, old, new, words):
    path = folder / "cxx" / "lib" / FILE
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(UserError, match=f"PADDLE_LITE_ARM={folder}: .*{words}.*give the official"):
        find_library(str(folder))


def test_androids_library_is_known_by_its_c_library(folder):
    path = folder / "cxx" / "lib" / FILE
    path.write_bytes(path.read_bytes().replace(b"libc.so.6\0", b"libc.so\0\0\0"))
    assert find_library(str(folder)).system == "android"


def test_what_is_no_library_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder; give the official"):
        find_library(str(tmp_path / "none"))
    (tmp_path / "a.tar.gz").write_text("no archive")
    with pytest.raises(UserError, match="is no archive, or a damaged one"):
        find_library(str(tmp_path / "a.tar.gz"))
    whole = stand_in.packed(folder, tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="is no archive, or a damaged one"):
        find_library(str(tmp_path / "b.tar.gz"))
    shutil.copytree(folder / "cxx", folder / "other")
    with pytest.raises(UserError, match=r"include/paddle_api\.h is 2 times inside"):
        find_library(str(folder))
    shutil.rmtree(folder / "other")
    (folder / "cxx" / "lib" / FILE).unlink()
    with pytest.raises(UserError, match=f"lib/{FILE} is not inside"):
        find_library(str(folder))
    stand_in.packed(folder, tmp_path / "c.tar.gz")
    with pytest.raises(UserError, match=f"lib/{FILE} is not inside"):
        find_library(str(tmp_path / "c.tar.gz"))
    (folder / "cxx" / "include" / "paddle_api.h").unlink()
    with pytest.raises(UserError, match=r"include/paddle_api\.h is not inside"):
        find_library(str(folder))


def test_another_library_under_a_known_name_is_said(folder, capsys):
    find_library(str(folder))
    find_library(str(folder))
    assert capsys.readouterr().err == ""
    header = folder / "cxx" / "include" / "paddle_api.h"
    header.write_text(header.read_text() + "// changed\n")
    find_library(str(folder))
    assert re.search(f"note: {folder} holds another library than before", capsys.readouterr().err)


def test_the_official_release_is_fetched_once_and_trusted_from_then_on(paddle_lite, releases):
    folder, asked = releases
    archive = folder / library.ARCHIVES["linux"]
    stand_in.packed(paddle_lite, archive)
    found = find_library("official")
    assert found.sha256 == find_library(str(paddle_lite)).sha256
    assert find_library("official") == found
    assert len(asked) == 1
    # Another file at the same place is not taken.
    kept = cache_root() / "paddle-lite-arm" / archive.name
    kept.unlink()
    archive.write_bytes(archive.read_bytes() + b"changed")
    with pytest.raises(UserError, match="is not the expected file"):
        find_library("official")
    assert not kept.exists()


def test_the_release_is_that_of_the_optimizer():
    pinned = re.search(r"^paddlelite==([\d.]+)(rc|)\d*", LITE.lock_path.read_text(), re.M)
    assert library.RELEASE.endswith(f"/v{pinned[1]}{'-rc' * bool(pinned[2])}")


def test_a_phones_release_is_another(paddle_lite, releases):
    stand_in.packed(paddle_lite, releases[0] / library.ARCHIVES["linux"])
    with pytest.raises(UserError, match=r"inference_lite_lib\.android\.armv8\..* \(HTTP 404\)"):
        find_library("official", "android")


def test_a_release_that_is_not_there_is_a_sentence(releases):
    with pytest.raises(UserError, match=r"the server has no such file \(HTTP 404\)"):
        find_library("official")
