"""Resources and Java sources → a linked APK without code, and its dex files."""

import zipfile
from pathlib import Path

from common.errors import StepError
from deploy.android.project import Project
from deploy.android.tools import QUICK, Tools, call

_HERE = Path(__file__).parent
_RESOURCES_LIMIT = 120.0
_JAVA_LIMIT = 300.0


def link(project: Project, tools: Tools, work: Path) -> Path:
    """Compile and link the resources: an APK with manifest and resources, R.java in `work/gen`."""
    compiled, linked, manifest = work / "res.zip", work / "linked.apk", work / "AndroidManifest.xml"
    manifest.write_text(project.manifest(), encoding="utf-8")
    words = [tools.aapt2, "compile", "--dir", project.resources, "-o", compiled]
    call(words, "aapt2 compile", limit=_RESOURCES_LIMIT)
    words = [tools.aapt2, "link", "-I", tools.framework, "--manifest", manifest, "-o", linked]
    words += ["--java", work / "gen", "--rename-manifest-package", project.application_id]
    words += ["--min-sdk-version", project.min_sdk, "--target-sdk-version", project.target_sdk]
    words += ["--version-code", project.version_code, "--version-name", project.version_name]
    call([*words, "--auto-add-overlay", compiled], "aapt2 link", limit=_RESOURCES_LIMIT)
    return linked


def compile_java(project: Project, tools: Tools, work: Path, engine_jars: list[Path]) -> Path:
    """Compile the app's sources and R.java; returns the folder of class files.

    Java's own classes come from the JDK; `check_api` then sees which of them the oldest Android
    version lacks. An engine whose jar is not there is compiled against its stubs, which are not
    shipped.
    """
    classes = work / "classes"
    classes.mkdir()
    words = [tools.javac, *(f"-J{flag}" for flag in QUICK), "--release", "17", "-nowarn"]
    words += ["-encoding", "UTF-8", "-proc:none", "-implicit:none", "-sourcepath", project.stubs]
    words += ["-classpath", ":".join(map(str, [tools.framework, *engine_jars])), "-d", classes]
    sources = [*project.sources, *sorted((work / "gen").rglob("*.java"))]
    call([*words, *sources], "javac", limit=_JAVA_LIMIT)
    return classes


def check_api(project: Project, tools: Tools, classes: Path) -> None:
    """Raise StepError, with file and line, when a class uses what the oldest Android lacks.

    Methods that say that they ask for the version before are left out (`AsksForVersion`).
    """
    path = ":".join(map(str, tools.sniffer))
    words = [tools.java, *QUICK, "-cp", path, _HERE / "CheckApi.java", tools.signatures, classes]
    label = f"an API newer than Android's level {project.min_sdk}"
    call([*words, project.java, *project.engine_packages], label, limit=_JAVA_LIMIT)


def dex(project: Project, tools: Tools, classes: Path, engine_jars: list[Path], work: Path) -> Path:
    """Class files and the engines' jars → `classes.dex` in a folder (more, if they are many)."""
    jar = work / "classes.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes).as_posix())
    folder = work / "dex"
    folder.mkdir()
    words = [tools.java, *QUICK, "-cp", tools.bundletool, "com.android.tools.r8.D8", "--release"]
    words += ["--min-api", project.min_sdk, "--lib", tools.framework, "--lib", tools.jdk]
    words += ["--output", folder, jar, *engine_jars]
    call(words, "D8", limit=_JAVA_LIMIT)
    if not (folder / "classes.dex").is_file():
        raise StepError("D8: it ended well but wrote no classes.dex")
    return folder
