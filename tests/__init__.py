"""Tests mirror the rooms. They start thousands of children, whose code is compiled once."""

import os
import sys

# Images of containers set it, to stay small: every start then compiles all that it imports, which
# takes as long again as running it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
