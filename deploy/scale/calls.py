"""Do some calls of a file of them (see `runtimes.calls`), as other machines are asked to:

    python deploy/scale/calls.py FOLDER/calls.pickle --source model.onnx --first 0 --last 6

Prints one JSON object a line, {"row": …, "value": …}. The file is a pickle of this very toolkit's
objects, and runs code: take none of a stranger's.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/../..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, positive, run, whole
from common.errors import UserError
from common.paths import absolute
from runtimes.calls import Calls

FILE = "calls.pickle"


def write(calls: Calls, folder: Path) -> None:
    """The file, without its source."""
    with (folder / FILE).open("wb") as stream:
        pickle.dump(calls, stream)


def main() -> int:
    parser = Parser(prog="python deploy/scale/calls.py", description=__doc__)
    parser.add_argument("file", type=absolute, metavar="FILE", help="what to call")
    parser.add_argument(
        "--source", type=absolute, required=True, metavar="FILE", help="the ONNX file it is about"
    )
    parser.add_argument("--first", type=whole(), required=True, metavar="N", help="from this call")
    parser.add_argument("--last", type=whole(), required=True, metavar="N", help="up to this one")
    parser.add_argument("--threads", type=positive, metavar="N", help="where it can have several")
    options = parser.parse_args()
    calls = _read(options)
    arguments = dict(calls.arguments)
    if options.threads and "threads" in arguments:
        arguments["threads"] = options.threads
    opened = calls.opens(source=str(options.source), **arguments)
    for row in range(options.first, options.last + 1):
        value = getattr(opened, calls.method)(**calls.each[row])
        print(json.dumps({"row": row, "value": value}, allow_nan=False), flush=True)
    return Exit.OK


def _read(options: argparse.Namespace) -> Calls:
    """The calls; UserError where the file has none, or not these."""
    for path in (options.file, options.source):
        if not path.is_file():
            raise UserError(f"there is no file {path}")
    try:
        calls = pickle.loads(options.file.read_bytes())
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise UserError(f"{options.file} has no calls of this toolkit: {error}") from None
    if not isinstance(calls, Calls) or options.last >= len(calls.each):
        raise UserError(f"{options.file} has no calls up to --last {options.last}")
    return calls


if __name__ == "__main__":
    run(main)
