"""The Java tests once more, on the code that an APK ships."""

import zipfile

import pytest

from common.errors import UserError
from deploy.android.build_apk import build_apk
from tests.android_demo import java
from tests.android_demo.dex import class_files_of


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The classes of an APK without packages and without engines' libraries, as a jar."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUILD_DIR", str(tmp_path_factory.mktemp("apk")))
        try:
            apk = build_apk([], [], {})
        except UserError as error:
            pytest.skip(f"no APK can be built here: {error}")
    return class_files_of(apk, tmp_path_factory.mktemp("dex"))


@pytest.fixture(scope="module")
def report(shipped, compiled, toolkit_data, tmp_path_factory):
    path = [shipped, compiled.tests, *compiled.jars]
    return java.run_junit(path, compiled.library, toolkit_data, tmp_path_factory.mktemp("handed"))


def test_the_stubs_of_the_engines_are_not_shipped(shipped):
    names = zipfile.ZipFile(shipped).namelist()
    assert "org/paddleportage/engine/PaddleLiteEngine.class" in names
    assert not [
        name for name in names if name.startswith(("com/baidu/", "ai/onnxruntime/", "org/opencv/"))
    ]


@pytest.mark.parametrize("test_class", java.TEST_CLASSES)
def test_junit_on_the_shipped_code(report, test_class):
    java.assert_all_pass(report, test_class)
