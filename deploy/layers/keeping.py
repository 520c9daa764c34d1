"""What was found of layers, read again from where it is kept."""

from pathlib import Path
from typing import TypeVar

from common.console import say, shown
from common.strict_json import FormError, decode, parse

T = TypeVar("T")


def kept(folder: Path, kind: type[T], again: str) -> list[T]:
    """The values of a kind in a folder's JSON files, in the order of their names; a file that holds
    none, as an older toolkit wrote it, is left out with a sentence. `again` makes them anew."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(decode(kind, parse(path.read_text())))
        except (OSError, UnicodeDecodeError, FormError) as error:
            say(f"  {shown(path)} is left out: {error}; make it again: {again}")
    return found
