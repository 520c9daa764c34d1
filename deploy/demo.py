"""The whole chain on real weights and real photos, and the drift table (`make demo`)."""

import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, run
from common.console import say, shown
from common.paths import build_root, cache_root
from convert.builds import choose
from data.demo_more import demo_more_photos
from deploy.request.arguments import add_verbose_argument
from deploy.request.values import INT8, Cell, Files, Photos, every_cell
from deploy.verdict import tables
from deploy.verdict.reasons import sentences
from deploy.verdict.validator import validate
from runtimes.hosts.arm import Arm
from runtimes.hosts.base import Host
from runtimes.session_pool import EMULATED

_MODEL = "SqueezeNet1_1"
_ARM_PHOTOS = 8  # each takes seconds

_NEXT = """
  files, results     {build}, {build}/results (JSON)
  downloads          {cache} (kept by make clean)

What to type next:
  make validate MODEL={model} TARGET=all DATA=/your/photos    val_list.txt, or a folder per class
  make report                                                       all of this on one page
  make export   MODEL=VGG16 WEIGHTS=/your/VGG16.pdparams            your own, or WEIGHTS=official
  make convert  MODEL=VGG16 TARGET=all                              the files of every target
  make doctor                                                       what is missing on this machine
"""


def main() -> int:
    parser = Parser(prog="python deploy/demo.py", description=__doc__)
    add_verbose_argument(parser)
    options = parser.parse_args()
    started = time.monotonic()
    more = demo_more_photos()
    say(
        f"{_MODEL}: demo weights to every target, then 70 labelled photos through each of them, "
        f"and in bf16, fp16 and int8 {len(list(more.iterdir()))} without labels"
    )
    chosen, files = [choose(_MODEL)], Files(weights="demo")
    host = Arm()
    problem = host.problem()
    # Before the work: PADDLE_LITE_ARM may name what is no library.
    cells = [] if problem else [cell for cell in every_cell() if _is_emulated(host, cell)]
    results = list(validate(chosen, every_cell(), files, Photos("demo", more=str(more))))
    if problem:
        say(f"  ARM code is left out: {problem}")
    else:
        say(f"  as ARM code, {_ARM_PHOTOS} of the photos")
        results += validate(chosen, cells, files, Photos("demo", _ARM_PHOTOS), host=host)
    print()
    if options.verbose:
        tables.show(results, verbose=True)
    else:
        # Before the table, which is to be seen together with what to type next.
        for line in sentences(results, verbose=False):
            print(line)
        print()
        tables.show_verdicts(results)
    name = results[0].name
    print(f"\nDone in {time.monotonic() - started:.0f} s. Where everything is:", end="")
    print(
        _NEXT.format(build=shown(build_root() / name), cache=shown(cache_root()), model=name),
        end="",
    )
    failed = any(outcome.verdict == "fail" for outcome in results)
    return Exit.BROKEN if failed else Exit.OK


def _is_emulated(host: Host, cell: Cell) -> bool:
    target, precision = cell
    if target.host_problem(host) or precision not in ("fp32", INT8):
        return False
    return target.session_spec_on(host, precision).execution == EMULATED


if __name__ == "__main__":
    run(main)
