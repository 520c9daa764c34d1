"""Packages as a user asks for them: those of a build's present files, or new ones."""

import dataclasses
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from calib.kept import calibrated
from common.cli import Parser, word_or_path
from common.console import say, shown
from common.errors import StepError, UserError, suggest
from common.paths import absolute
from convert.artifact import Artifact, load
from convert.builds import Chosen, exported
from deploy.packages.labels import find_labels, read_names
from deploy.packages.package import (
    is_current,
    package,
    package_folders,
    packaged,
    target_of,
    tells_all,
)
from deploy.packages.signature import NEW_KEY, signer_of
from deploy.request.arguments import (
    NO_LABELS,
    add_data_arguments,
    add_file_arguments,
    chosen_builds,
    chosen_cells,
    chosen_files,
    chosen_photos,
)
from deploy.request.building import build_files, class_count, inference_graph, known_split
from deploy.request.opening import Opened, open_photos, ready_to_judge
from deploy.request.values import INT8, Cell, Files, Photos
from deploy.targets import all_precisions, app_targets, find_cells, packaged_targets
from deploy.targets.base import Target
from deploy.verdict.result import kept

_PHOTOS = 16
_NOT_IN_APP = "the app has no engine for"


def add_package_arguments(
    parser: Parser, *, for_app: bool, offered: Mapping[str, Target] | None = None
) -> None:
    """The arguments of every command that makes packages, but those that name builds.

    `for_app` says whether only those are of use that the app can run, `offered` that of all only
    these targets' are.
    """
    offered = offered or (app_targets() if for_app else packaged_targets())
    add_file_arguments(parser, target_default=list(app_targets()), offered=offered)
    add_data_arguments(parser)
    parser.add_argument(
        "--labels",
        type=word_or_path(NO_LABELS),
        metavar="FILE",
        help="the classes' names, one a line (default: the list beside the checkpoint, ImageNet's "
        f"for 1000 classes, else numbers); {NO_LABELS}: take all photos in --data, however deep, "
        "without labels",
    )
    parser.add_argument(
        "--sign",
        type=absolute,
        metavar="KEY",
        help=f"sign them with this private key (P-256, PEM: {NEW_KEY}); make verify checks that",
    )
    parser.set_defaults(photos=_PHOTOS, for_app=for_app)


def make_packages(options: Namespace, *, anew: bool) -> Iterator[tuple[str, Cell, Artifact | None]]:
    """The packages that the arguments ask for: the build's name, the cell, and the package, or None
    where its file cannot be made here.

    With `anew` each is made for these arguments; else one that is of the build's present file is
    taken as it is.
    """
    asked = [_Asked.of(one, options, anew) for one in chosen_builds(options)]
    wanted, photos = chosen_files(options), chosen_photos(options)
    if options.sign:
        signer_of(options.sign)  # refused before any work, too
    opened = [one.open(options, wanted, photos) for one in asked]  # refused before any work
    for one, there in zip(asked, opened, strict=True):
        for cell, made in one.standing.items():
            yield one.chosen.folder, cell, made
        if there:
            yield from one.make(options, wanted, photos, there)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What is asked for of one build: packages that stand, and cells to make them of."""

    chosen: Chosen
    standing: dict[Cell, Artifact]
    missing: list[Cell]

    @classmethod
    def of(cls, chosen: Chosen, options: Namespace, anew: bool) -> "_Asked":
        cells = _cells(chosen, options)
        standing = {
            (target, precision): made
            for target, precision in cells
            if not anew
            and (made := packaged(chosen.folder, target.name, precision))
            and is_current(made, certain=True)
        }
        for (target, precision), made in standing.items():
            if not tells_all(made):
                say(
                    f"  {made.facts['content']} was measured again since it was packaged, which "
                    f"its card does not say; make it anew: make package MODEL={chosen.folder} "
                    f"TARGET={target.name} PRECISION={precision}"
                )
        return cls(chosen, standing, [cell for cell in cells if cell not in standing])

    def open(self, options: Namespace, wanted: Files, photos: Photos) -> Opened | None:
        """The photos for what is missing, if anything is."""
        if not self.missing:
            return None
        classes = class_count(self.chosen, wanted)
        if listing := _listing(options):
            read_names(listing, classes)
        return open_photos(photos, self.missing, classes, known_split(self.chosen, wanted))

    def make(
        self, options: Namespace, wanted: Files, photos: Photos, opened: Opened
    ) -> Iterator[tuple[str, Cell, Artifact | None]]:
        graph = inference_graph(self.chosen, wanted)
        labels = find_labels(graph, _listing(options))
        ready = ready_to_judge(graph, self.missing, wanted, photos, opened)
        built = build_files(graph, ready.cells, ready.options)
        for cell in ready.cells:
            outcome = built.get(cell)
            if isinstance(outcome, StepError):
                raise outcome
            made = None
            if outcome is None:
                say(f"  {cell[0].name} {cell[1]} is unavailable: {cell[0].problem()}")
            else:
                spec = self.chosen.spec
                made = package(
                    *(spec, graph, cell, outcome, labels, ready.images),
                    skip_bad=photos.skip_bad,
                    key=options.sign,
                )
            yield graph.name, cell, made


def _listing(options: Namespace) -> Path | None:
    """The list of the classes' names that the user gave."""
    return Path(options.labels) if options.labels not in (None, NO_LABELS) else None


def _cells(chosen: Chosen, options: Namespace) -> list[Cell]:
    """The cells of the targets; without a precision FP32, and INT8 that was judged here;
    with INT8 but no target those that are calibrated, if any are."""
    known = app_targets() if options.for_app else packaged_targets()
    named = options.target or options.target_default
    if options.precision:
        check_precisions(options.precision, for_app=options.for_app)
        found = chosen_cells(options)
    else:
        found = find_cells(named, ["fp32"])
    for name in named:
        if name not in known and name != "all":
            raise UserError(_no_package(name, list(known)))
    found = [(target, precision) for target, precision in found if target.name in known]
    if options.precision:
        named_all = options.target or _says_how(options)
        return found if named_all else _calibrated(chosen.folder, found)
    judged = [
        (target, INT8)
        for target, _ in found
        if INT8 in target.precisions and _is_judged(chosen.folder, (target, INT8))
    ]
    return [*found, *judged]


def _says_how(options: Namespace) -> bool:
    """Whether the user says by what INT8 files are to be made."""
    words = (options.calib, options.calib_photos, options.method, options.keep_float)
    return options.recalibrate or any(words)


def _calibrated(name: str, cells: list[Cell]) -> list[Cell]:
    """The cells without those in INT8 that a build has not calibrated yet, which are named; all
    where none is."""
    graph = exported(name)
    targets = [target for target, precision in cells if precision == INT8]
    known = {one for one, _ in calibrated(graph)} if graph else set()
    absent = [target for target in targets if target.name not in known]
    if len(absent) == len(targets):
        return cells
    for target in absent:
        say(
            f"  left out: {target.name} int8, which is not calibrated yet: make calibrate "
            f"MODEL={name} TARGET={target.name}"
        )
    return [(target, one) for target, one in cells if one != INT8 or target not in absent]


def _no_package(name: str, known: list[str]) -> str:
    """Why there is no package for a target, or none that the app can run."""
    if name in packaged_targets():
        return (
            f"{_NOT_IN_APP} {name}, whose packages are for programs of your own (make package); it "
            f"runs {' and '.join(known)}"
        )
    return f"target {name} has no packages, only {', '.join(known)} have"


def check_precisions(words: Sequence[str] | None, *, for_app: bool) -> None:
    """Raise UserError for a precision that none of the packaged, or the app's, targets has."""
    known = all_precisions((app_targets() if for_app else packaged_targets()).values())
    who = "the app runs" if for_app else "packages have"
    for word in words or ():
        if word not in known:
            raise UserError(f"{who} no precision '{word}', {suggest(word, known)}")


def _is_judged(name: str, cell: Cell) -> bool:
    """Whether a result of the very file that a build has of a cell is kept."""
    target, precision = cell
    present = target.present_digests(name, precision)
    return present is not None and any(
        (one.target, one.precision, one.files) == (target.name, precision, present)
        for one in kept(name)
    )


def packages_here(precisions: Sequence[str] | None, name: str = "*") -> list[Artifact]:
    """The packages of a build, or of all, for the app, that are of the files that are there now.

    Those of other files, and those that the app has no engine for, are left out, with a word.
    UserError for one that is not whole.
    """
    found = []
    for folder in package_folders(precisions, name):
        made = load(folder)
        if made is None:
            raise UserError(
                f"{shown(folder)} is not a whole package; remove it, and make it again: "
                f"make package MODEL={folder.parents[1].name}"
            )
        target = target_of(made)
        if target and target.name not in app_targets():
            say(f"  left out: {made.facts['content']}, since {_NOT_IN_APP} {target.name}")
        elif is_current(made):
            found.append(made)
        else:
            say(
                f"  left out: {made.facts['content']} is of another file, or checkpoint, than its "
                f"build has now; make it anew: make package MODEL={made.name}"
            )
    return found
