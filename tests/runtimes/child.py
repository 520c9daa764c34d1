"""What the tests call in child processes; runs in CPython 3.7 too."""

import os
import sys
import time
from pathlib import Path


def echo(value):
    return value


def abort(words):
    sys.stderr.write("loading\n" + words + "\nbacktrace follows\n")
    sys.stderr.flush()
    os.abort()


def sleep(seconds):
    time.sleep(seconds)


def fail(text):
    raise ValueError(text)


def refuse(text):
    from common.errors import UserError

    raise UserError(text)


class Counter:
    def __init__(self, start):
        self._next = start

    def next(self):
        self._next += 1
        return self._next - 1


def pid():
    return os.getpid()


def hold_the_lock():
    sum(range(10**12))  # one instruction of Python's: no other thread runs meanwhile


def where():
    return [str(Path.cwd()), __file__]


def variable(name):
    return os.environ.get(name)


class Point:
    """A value of the project's own."""

    def __init__(self, place):
        self.place = place


def cpuinfo():
    return Path("/proc/cpuinfo").read_text()
