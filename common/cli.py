"""What every command has in common: its argument parser, one-line errors and exit statuses."""

import argparse
import enum
import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from common.errors import StepError, UserError


class Exit(enum.IntEnum):
    """The exit statuses of every command."""

    OK = 0
    BROKEN = 1  # drift or a numeric gate
    USAGE = 2  # bad input
    UNDECIDED = 3  # hardware absent, or too few photos


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, and which takes no abbreviations."""

    def __init__(self, **options):
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def positive(text: str) -> int:
    """An argument's value as a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


_DISK_ERRORS = {
    errno.ENOSPC: "no space left on the disk; free some and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EROFS: "that place is read-only; choose another with BUILD_DIR or XDG_CACHE_HOME",
    errno.EACCES: "no permission; make it accessible or choose another place",
}


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command's main function and end the process with its exit status.

    A UserError, and an OSError that says that a file cannot be had or written, become one line
    on standard error and status 2; a StepError one line and status 1. Anything else is a bug
    and keeps its traceback.
    """
    try:
        status = int(main())
        sys.stdout.flush()
    except UserError as error:
        status = _complain(str(error), Exit.USAGE)
    except StepError as error:
        status = _complain(str(error), Exit.BROKEN)
    except KeyboardInterrupt as interruption:
        usual = "interrupted; what was finished is kept, run again to go on"
        status = _complain(str(interruption) or usual, 130)
    except BrokenPipeError:
        # The reader went away (`| head`): nothing left to say, and flushing at exit must not.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Exit.OK
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        status = _complain(f"{error.filename or 'disk'}: {_DISK_ERRORS[error.errno]}", Exit.USAGE)
    sys.exit(status)


def _complain(sentence: str, status: int) -> int:
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return status
