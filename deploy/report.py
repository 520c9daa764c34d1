"""Everything that was measured on one page that can be mailed: build/report.html.

    python deploy/report.py [--model NAME …] [--out FILE] [--also md,csv,junit,json]
    python deploy/report.py --against OTHER_BUILD_FOLDER --fail-on regression

The page holds the kept results of these builds, and needs no network. --also writes report.md (for
a pull request), results.csv, junit.xml and results.json beside it. Against another run it says
what got better, worse, appeared and went; --fail-on regression then ends with status 1 where a
figure got worse beyond noise.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from pathlib import Path

from common import files
from common.cli import Exit, Parser, choice, run, several
from common.console import shown
from common.errors import UserError
from common.paths import absolute, build_root
from convert.builds import choose
from deploy.gpu.record import read_check
from deploy.reports.beside import FORMS
from deploy.reports.comparison import compare, regressions
from deploy.reports.runs import builds_with_results, results_here, results_in
from deploy.reports.thumbnails import MOST
from deploy.reports.words import summary
from deploy.verdict.changes import read_changes

_REGRESSION = "regression"


def main() -> int:
    parser = Parser(prog="python deploy/report.py", description=__doc__)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model's name, or a build's; repeatable (default: every build with results)",
    )
    parser.add_argument("--out", type=absolute, metavar="FILE", help="default: build/report.html")
    parser.add_argument(
        "--against",
        type=absolute,
        metavar="RUN",
        help="another run to compare with: a build folder, or a file of results as --also json "
        "writes it and validate --json prints it",
    )
    parser.add_argument(
        "--fail-on",
        type=choice(_REGRESSION),
        metavar="WHAT",
        help=f"{_REGRESSION}: end with status 1 where something got worse than in --against",
    )
    parser.add_argument(
        "--also",
        type=several(choice(*FORMS)),
        default=(),
        metavar="FORMS",
        help=f"with commas: {', '.join(FORMS)}; each is written beside the page",
    )
    parser.add_argument(
        "--changes",
        type=absolute,
        metavar="FILE",
        help="show the photos in a JSON file that validate --changes wrote, at most "
        f"{MOST}; without it no photo is in the page",
    )
    parser.add_argument(
        "--gpu-check",
        type=absolute,
        metavar="FILE",
        help="show the parts of a check that make gpu-check wrote (gpu-check.json)",
    )
    options = parser.parse_args()
    if options.fail_on and not options.against:
        raise UserError("--fail-on regression compares two runs; name the other one with --against")
    from deploy.reports.page import page

    out = _place(options.out)
    before = results_in(options.against) if options.against else None
    changes = read_changes(options.changes) if options.changes else []
    check = read_check(options.gpu_check) if options.gpu_check else None
    wanted = [choose(name).folder for name in options.model or ()] or builds_with_results()
    results = results_here(wanted)
    if not results and not check:
        raise UserError(
            f"there are no results to report on in {shown(build_root())}; make some: make demo, or "
            "make validate MODEL=… TARGET=all"
        )
    if before is not None and options.model:
        before = [one for one in before if one.name in wanted]
    differences = None if before is None else compare(before, results)
    against = shown(options.against) if options.against else ""
    name = options.against.name if options.against else ""  # no path of this machine in the page
    _write(out, page(results, differences, name, changes, check=check))
    for form in options.also:
        name, write = FORMS[form]
        _write(out.with_name(name), write(results, differences))
    print(summary(results))
    worse = regressions(differences or ())
    for one in worse:
        print(f"worse: {one.name}: {one.what}")
    if differences is not None and not worse:
        print(f"nothing got worse than in {against}")
    return Exit.BROKEN if options.fail_on and worse else Exit.OK


def _place(asked: Path | None) -> Path:
    """Where the page goes; UserError for what cannot be a page's file."""
    out = asked or build_root() / "report.html"
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{shown(out)}: name a file that ends with .html (OUT=…)")
    if asked:
        files.require_place(out)
    return out


def _write(path: Path, text: str) -> None:
    with files.atomic(path) as stream:
        stream.write(text)
    print(f"{shown(path)} ({len(text.encode()) / 1e6:.2f} MB)")


if __name__ == "__main__":
    run(main)
