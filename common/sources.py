"""Which of the project's own code decides what a function makes, read from the sources (`ast`).

From a function on, every definition is followed that its code names: functions, classes and
constants of its module, what it imports from the project's other modules (imports inside functions
too), and what it names for a child process, as "module:name". A definition counts by its meaning:
comments, docstrings and layout do not. With a definition that names `__file__` count the data files
beside its module: those of the same stem, and beside a package's `__init__` all.

It is definitions and not whole files, since nearly every step imports a file's name from the step
before: by files, a change in the download of CIFAR-10 would build everything anew.

What this cannot see has to be named by the caller: modules whose names are put together at run
time, and what a parameter without an annotation is.
"""

import ast
import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

from common import files
from common.paths import ROOT

# Left out is what decides where, when and how visibly a file is made, and not what is in it …
LEFT_OUT = (
    "common",  # knows nothing of networks and photos
    "runtimes",  # starts sessions; they themselves do count, since every file is checked in one
    "convert.artifact",
    # … and what is among the inputs or parameters by its content already.
    "data.images:ImageSet",
    "models.published",
    "models.registry:MODELS",
)
COUNTED = ("runtimes.sessions", "runtimes.inside")

_COMPOUND = ast.If | ast.For | ast.While | ast.Try | ast.With
_CALLED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # "module:name"

Code = str | Callable  # "module:name", or the function or class itself


def code_of(*entries: Code) -> dict[str, str]:
    """What decides the outcome of functions or classes of this project: file → hash.

    The files, relative to the project's root, are those with a definition that an entry reaches;
    the hash is that of these definitions. LookupError: there is no such function or class.
    """
    return _project().code_of(*entries)


@functools.cache
def _project() -> "Sources":
    return Sources(ROOT)


class Sources:
    """The modules under `root`, each read once: a running process keeps the code it began with."""

    def __init__(self, root: Path):
        self._root = root
        self._paths: dict[str, Path | None] = {}
        self._modules: dict[str, _Module] = {}
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def code_of(self, *entries: Code) -> dict[str, str]:
        """As the module's function of this name."""
        named = tuple(entry if isinstance(entry, str) else _name_of(entry) for entry in entries)
        if named not in self._known:
            search = _Search(self)
            for entry in named:
                search.enter(entry)
            self._known[named] = search.hashes()
        return self._known[named]

    def has(self, name: str) -> bool:
        """Is there a module or package of that name?"""
        if name not in self._paths:
            base = self._root.joinpath(*name.split("."))
            paths = (base.with_suffix(".py"), base / "__init__.py")
            self._paths[name] = next((path for path in paths if path.is_file()), None)
        return self._paths[name] is not None

    def module(self, name: str) -> "_Module":
        """A module that there is."""
        if name not in self._modules:
            assert self.has(name), name
            path = self._paths[name]
            assert path
            self._modules[name] = _Module(path, self._root)
        return self._modules[name]

    def file(self, path: Path) -> str:
        """A file's name in a hash: the same wherever the project lies."""
        return path.relative_to(self._root).as_posix()


class _Search:
    """The definitions that some entries reach, as places in their modules."""

    def __init__(self, sources: Sources):
        self._sources = sources
        self._reached: dict[str, set[int]] = {}
        self._data: set[Path] = set()

    def enter(self, entry: str) -> None:
        name, _, attribute = entry.partition(":")
        module = self._sources.module(name) if self._sources.has(name) else None
        if not (module and (attribute in module.places or attribute in module.imports)):
            raise LookupError(f"{entry}: the project has no such function or class")
        self._visit(name, attribute)

    def hashes(self) -> dict[str, str]:
        found = {}
        for name, places in self._reached.items():
            module = self._sources.module(name)
            meanings = [module.meaning(place).text for place in sorted(places)]
            if meanings:
                found[module.file] = hashlib.sha256("\n".join(meanings).encode()).hexdigest()
        found |= {self._sources.file(path): files.sha256(path) for path in self._data}
        return dict(sorted(found.items()))

    def _visit(self, name: str, attribute: str = "") -> None:
        """Reach what a module calls `attribute`, or all of the module."""
        if _is_left_out(f"{name}:{attribute}"):
            return
        module = self._sources.module(name)
        self._load(name)
        if attribute in module.places:
            for place in module.places[attribute]:
                self._reach(name, place)
        elif attribute in module.imports:
            for target in module.imports[attribute]:
                self._follow(target)
        else:
            for place in range(len(module.statements)):
                self._reach(name, place)

    def _load(self, name: str) -> None:
        """Reach what a module, and the packages around it, do when they are imported."""
        if name in self._reached:
            return
        self._reached[name] = set()
        parts = name.split(".")
        for end in range(1, len(parts)):
            package = ".".join(parts[:end])
            if self._sources.has(package):
                self._load(package)
        for place in self._sources.module(name).actions:
            self._reach(name, place)

    def _reach(self, name: str, place: int) -> None:
        if place in self._reached[name]:
            return
        self._reached[name].add(place)
        module = self._sources.module(name)
        meaning = module.meaning(place)
        if "__file__" in meaning.names:
            self._data |= module.data_files()
        for dotted in meaning.names:
            first, _, rest = dotted.partition(".")
            if first in module.places:
                self._visit(name, first)
            targets = module.imports.get(first, set()) | meaning.imports.get(first, set())
            for target in targets:
                self._follow(f"{target}.{rest}" if rest else target)
        for called in meaning.called:
            other, _, attribute = called.partition(":")
            if self._sources.has(other):
                self._visit(other, attribute)

    def _follow(self, dotted: str) -> None:
        """Reach what a dotted name of whatever module stands for, if it is the project's."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            if self._sources.has(name):
                self._visit(name, parts[end] if end < len(parts) else "")
                return


class _Module:
    """A module's statements, and where its names come from.

    `statements` are those of its top level; `places` maps a name to those that define it,
    `imports` to what is imported under it, dotted. `actions` do something when it is imported.
    """

    def __init__(self, path: Path, root: Path):
        self.path = path
        self.file = path.relative_to(root).as_posix()
        self._package = self.file.removesuffix(".py").split("/")[:-1]
        self.statements: list[ast.stmt] = []
        self.places: dict[str, list[int]] = {}
        self.imports: dict[str, set[str]] = {}
        self.actions: list[int] = []
        self._meanings: dict[int, _Meaning] = {}
        for statement in ast.parse(path.read_bytes()).body:
            self._add(statement)

    def meaning(self, place: int) -> "_Meaning":
        if place not in self._meanings:
            self._meanings[place] = _Meaning(self.statements[place], self._package)
        return self._meanings[place]

    def data_files(self) -> set[Path]:
        """What is no Python beside the module: files of its stem, all of them in a package."""
        pattern = "*" if self.path.stem == "__init__" else f"{self.path.stem}.*"
        found = self.path.parent.glob(pattern)
        return {path for path in found if path.is_file() and path.suffix not in (".py", ".pyc")}

    def _add(self, statement: ast.stmt) -> None:
        if _is_text(statement) or _is_guard(statement, "__name__"):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _note_imports(statement, self._package, self.imports)
            return
        if isinstance(statement, ast.If) and _is_guard(statement, "TYPE_CHECKING"):
            for inner in statement.body:
                self._add(inner)
            return
        if isinstance(statement, _COMPOUND):
            for node in ast.walk(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    _note_imports(node, self._package, self.imports)
        place = len(self.statements)
        self.statements.append(statement)
        defined = _defined(statement)
        for name in defined:
            self.places.setdefault(name, []).append(place)
        if not defined or isinstance(statement, _COMPOUND):
            self.actions.append(place)


class _Meaning:
    """What a statement says: `text` is equal for equal code, whatever its comments and layout.

    `names` are the names in it, with their attributes ("module.function"), `called` the strings
    "module:name", `imports` what is imported in it.
    """

    def __init__(self, statement: ast.stmt, package: list[str]):
        self.names: set[str] = set()
        self.called: set[str] = set()
        self.imports: dict[str, set[str]] = {}
        self._package = package
        self._words: list[str] = []
        self._read(statement)
        self.text = " ".join(self._words)

    def _read(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Attribute):
            dotted = _dotted(node)
            if dotted:
                self.names.add(dotted)
                self._words += ("Attribute", dotted)
                return
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _CALLED.fullmatch(node.value):
                self.called.add(node.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            _note_imports(node, self._package, self.imports)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            self._read_quoted(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            self._read_quoted(node.returns)
        self._words.append(type(node).__name__)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, ast.AST):
                if field != "ctx":
                    self._read(value)
            elif isinstance(value, list):
                self._words.append("[")
                for item in value:
                    if not isinstance(item, ast.AST):
                        self._words.append(repr(item))
                    elif not _is_text(item):
                        self._read(item)
                self._words.append("]")
            else:
                self._words.append(repr(value))

    def _read_quoted(self, annotation: ast.expr | None) -> None:
        """Note the names in an annotation that is written as a string."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            for node in ast.walk(ast.parse(annotation.value, mode="eval")):
                if isinstance(node, ast.Name | ast.Attribute):
                    self.names.add(_dotted(node))
            self.names.discard("")


def _name_of(code: Callable) -> str:
    """The "module:name" of a function or class, that of a program being run as well."""
    path = Path(inspect.getfile(sys.modules[code.__module__])).resolve()
    module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    return f"{module.removesuffix('.__init__')}:{code.__qualname__.partition('.')[0]}"


def _is_left_out(name: str) -> bool:
    def within(rooms: tuple[str, ...]) -> bool:
        return any(name == room or name.startswith((f"{room}.", f"{room}:")) for room in rooms)

    return within(LEFT_OUT) and not within(COUNTED)


def _is_text(statement: ast.AST) -> bool:
    """A docstring, or another string that does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_guard(statement: ast.stmt, name: str) -> bool:
    """Is it `if TYPE_CHECKING`, or `if __name__ == …`, which an import does not run?"""
    if not isinstance(statement, ast.If):
        return False
    test = statement.test.left if isinstance(statement.test, ast.Compare) else statement.test
    return isinstance(test, ast.Name) and test.id == name


def _defined(statement: ast.stmt) -> set[str]:
    """The module's names that a statement of its top level gives a value."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Assign():
            targets = list(statement.targets)
        case ast.AnnAssign() | ast.AugAssign() | ast.For():
            targets = [statement.target]
        case ast.With():
            targets = [item.optional_vars for item in statement.items if item.optional_vars]
        case _:
            targets = []
    inner = (node for target in targets for node in ast.walk(target))
    names = {node.id for node in inner if isinstance(node, ast.Name) and _is_stored(node)}
    if isinstance(statement, _COMPOUND):
        parts = (getattr(statement, part, ()) for part in ("body", "orelse", "finalbody"))
        bodies = (*parts, *(handler.body for handler in getattr(statement, "handlers", ())))
        names |= {name for body in bodies for nested in body for name in _defined(nested)}
    return names


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _note_imports(
    statement: ast.Import | ast.ImportFrom, package: list[str], imports: dict[str, set[str]]
) -> None:
    """Add the names that an import binds, each with the dotted name that it stands for."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            imports.setdefault(alias.asname or whole, set()).add(whole)
        return
    parts = package[: len(package) + 1 - statement.level] if statement.level else []
    base = ".".join([*parts, statement.module] if statement.module else parts)
    for alias in statement.names:
        imports.setdefault(alias.asname or alias.name, set()).add(f"{base}.{alias.name}")


def _dotted(node: ast.expr) -> str:
    """The "a.b.c" of a name and its attributes; "" where it hangs on another expression."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])
