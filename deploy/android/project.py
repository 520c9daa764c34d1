"""What the Gradle project says of itself, read from the same files as Gradle reads."""

import dataclasses
from pathlib import Path

from common.errors import UserError
from common.paths import ROOT

ANDROID = ROOT / "android_demo"
_MAIN = ANDROID / "app" / "src" / "main"
_STUBS = ANDROID / "app" / "src" / "stubs" / "java"
_NAMESPACE = "xmlns:android="


@dataclasses.dataclass(frozen=True)
class Project:
    """The facts of `android_demo/gradle.properties`, and where the sources are."""

    namespace: str
    application_id: str
    min_sdk: int
    target_sdk: int
    version_code: int
    version_name: str
    resources: Path = _MAIN / "res"
    java: Path = _MAIN / "java"
    # The engines' Java interfaces without their libraries: compiled against, never shipped.
    stubs: Path = _STUBS
    manifest_file: Path = _MAIN / "AndroidManifest.xml"

    @property
    def sources(self) -> list[Path]:
        return sorted(self.java.rglob("*.java"))

    @property
    def engine_packages(self) -> list[str]:
        """The Java packages of the engines, e.g. "ai.onnxruntime"."""
        folders = {path.parent.relative_to(self.stubs) for path in self.stubs.rglob("*.java")}
        return sorted(".".join(folder.parts) for folder in folders)

    def manifest(self) -> str:
        """The manifest with what Gradle adds to it: the package, and the application's id.

        Gradle takes the package from `namespace` and refuses it in the file; aapt2 wants it there.
        """
        text = self.manifest_file.read_text(encoding="utf-8")
        text = text.replace(_NAMESPACE, f'package="{self.namespace}" {_NAMESPACE}', 1)
        return text.replace("${applicationId}", self.application_id)


def read_project() -> Project:
    """The project beside the toolkit. Raises UserError when a property is missing."""
    path = ANDROID / "gradle.properties"
    lines = [line.partition("=") for line in path.read_text(encoding="utf-8").splitlines()]
    said = {name.strip(): value.strip() for name, _, value in lines}
    try:
        return Project(
            namespace=said["demo.namespace"],
            application_id=said["demo.applicationId"],
            min_sdk=int(said["demo.minSdk"]),
            target_sdk=int(said["demo.targetSdk"]),
            version_code=int(said["demo.versionCode"]),
            version_name=said["demo.versionName"],
        )
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: a demo. property is missing or no number: {error}") from None
