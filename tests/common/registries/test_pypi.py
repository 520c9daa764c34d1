"""Archives by package name: pip with a folder for its registry."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from common import process
from common.errors import UserError
from common.paths import cache_root
from common.registries.pypi import pypi_archive
from tests.common.test_fetch import leftovers, one_line


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def put_sdist(shelf: Path, marker: Path) -> str:
    """A source archive whose setup.py would leave a mark; returns its hash."""
    path = shelf / "tinydata-1.0.tar.gz"
    texts = {
        "setup.py": f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
        "import setuptools\nsetuptools.setup(name='tinydata', version='1.0')\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n",
        "data.bin": "payload",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"tinydata-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_source_archive_is_fetched_without_running_it(shelf, tmp_path):
    marker = tmp_path / "setup.py ran"
    sha256 = put_sdist(shelf, marker)
    path = pypi_archive("tinydata", "1.0", sha256, sdist=True)
    assert path == cache_root() / "packages" / "tinydata-1.0.tar.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert not marker.exists()
    assert leftovers(path.parent) == {path.name}


def test_a_cached_archive_needs_no_pip(shelf, tmp_path, monkeypatch):
    sha256 = put_sdist(shelf, tmp_path / "marker")
    path = pypi_archive("tinydata", "1.0", sha256, sdist=True)
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("pip was run"))
    assert pypi_archive("TinyData", "1.0", sha256, sdist=True) == path


def test_a_damaged_cached_archive_is_fetched_again(shelf, tmp_path):
    sha256 = put_sdist(shelf, tmp_path / "marker")
    path = pypi_archive("tinydata", "1.0", sha256, sdist=True)
    path.write_bytes(b"damaged")
    assert pypi_archive("tinydata", "1.0", sha256, sdist=True) == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def test_an_archive_with_another_hash_is_refused_before_anything_of_it_runs(shelf, tmp_path):
    marker = tmp_path / "setup.py ran"
    put_sdist(shelf, marker)
    with pytest.raises(UserError, match="not the expected one") as error:
        pypi_archive("tinydata", "1.0", "0" * 64, sdist=True)
    one_line(error)
    assert not marker.exists()
    assert leftovers(cache_root() / "packages") == set()


def test_a_package_that_cannot_be_had_is_one_line_with_pips_last_word(shelf):
    with pytest.raises(UserError) as error:
        pypi_archive("tinydata", "1.0", "0" * 64)
    assert "No matching distribution found for tinydata==1.0" in one_line(error)
    assert str(cache_root() / "packages") in one_line(error)


def test_a_pip_that_does_not_end_is_ended(shelf):
    with pytest.raises(UserError, match="did not end"):
        pypi_archive("tinydata", "1.0", "0" * 64, timeout=0.01)
