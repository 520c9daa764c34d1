"""One built model that the tests of this folder share: SqueezeNet1_1 with real weights."""

import pytest

from common.paths import ROOT


@pytest.fixture(scope="session")
def weights(shared):
    """A folder with real weights of SqueezeNet1_0 and SqueezeNet1_1."""
    return shared / "data" / "weights"


@pytest.fixture(scope="session")
def photos(shared, tmp_path_factory):
    """Make a list-file folder with some of the real photos: `photos(20)`."""
    lines = (shared / "data" / "val_list.txt").read_text().splitlines()

    def choose(count: int):
        folder = tmp_path_factory.mktemp(f"photos{count}-")
        (folder / "images").symlink_to(shared / "data" / "images")
        chosen = lines[:: len(lines) // count][:count]
        (folder / "val_list.txt").write_text("\n".join(chosen) + "\n")
        return folder

    return choose


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A build folder that several tests may fill and read, but not break."""
    folder = tmp_path_factory.mktemp("build")
    assert not folder.is_relative_to(ROOT)
    return folder
