"""A build folder of their own: a page shows what is kept of the builds that it names."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def no_builds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(tmp_path_factory.mktemp("no-builds")))
        yield
