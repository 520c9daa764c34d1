"""What was typed on make's command line: `make validate MODEL=VGG16` as a command's arguments.

Recipes pass no word on, since what goes through make and a shell is changed by both; commands
read the words from MAKEFLAGS, where they stand as they were typed.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence

from common import paths
from common.errors import UserError, suggest

FLAG = "--make"

# A secret: what stands on a command line can be read by everybody on the machine, and in histories.
_SECRETS = ("PORTAGE_SERVED_TOKEN",)

# Words that are for the environment, where any of our processes, or a tool, looks for them.
_ENVIRONMENT = re.compile(
    rf"{'|'.join(paths.VARIABLES)}|{paths.CACHE_GB}|PORTAGE_\w+|ANDROID_SERIAL|PYTHON|HOME|PATH|SHELL|CUDA_VISIBLE_DEVICES|POD_IP"
    r"|LANG|LC_\w+|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY"
)
_ALIASES = {
    "MODELS": "MODEL",
    "TARGETS": "TARGET",
    "PADDLE_LITE_ANDROID": "PADDLE_LITE",
    "ONNXRUNTIME_ANDROID": "ONNXRUNTIME",
}
# A word of most commands, and what stands in its place where it would say something else.
_INSTEAD = {"WEIGHTS": "INIT"}


def typed(flags: str) -> dict[str, str]:
    """The words in MAKEFLAGS, with their values as they were typed.

    There a backslash stands before blanks and backslashes, and dollars are doubled.
    """
    _, _, text = f" {flags}".partition(" -- ")
    if text.startswith("$(MAKEOVERRIDES)"):
        raise UserError("make -e keeps the words from the command; leave out -e")
    words = {}
    for quoted in re.findall(r"(?:\\.|[^ \t\\])+", text, re.DOTALL):
        name, _, value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL).partition("=")
        words[name.rstrip(":+?!")] = value.replace("$$", "$")
    return words


def word(flag: str) -> str:
    """The word of an argument: KEEP_FLOAT for --keep-float."""
    return flag.lstrip("-").replace("-", "_").upper()


def arguments(
    actions: Sequence[argparse.Action], target: str, goals: Sequence[str], words: Mapping[str, str]
) -> list[str]:
    """The words as arguments of a parser with these actions; some go into the environment.

    `target` is what make does now, and `goals` what it was called for: the words are not for a
    target that others need (`setup`). UserError for a word that no argument has.
    """
    for name in _SECRETS:
        if name in words:
            raise UserError(
                f"{name}= on a command line can be read by everybody on this machine: export it in "
                "the shell, or read it from a file there, and leave the word out"
            )
    for name in filter(_ENVIRONMENT.fullmatch, words):
        os.environ[name] = words[name]
    if target not in goals:
        return []
    known = {word(action.option_strings[-1]): action for action in actions}
    made = []
    for name, value in words.items():
        action = known.get(_ALIASES.get(name, name))
        if action:
            made += _argument(action, name, value)
        elif not _ENVIRONMENT.fullmatch(name):
            alone = "; call the commands one by one, each with its own words" * (len(goals) > 1)
            instead = _INSTEAD.get(name)
            hint = f"write {instead}=" if instead in known else suggest(name, known)
            raise UserError(f"make {target} takes no {name}=, {hint}{alone}")
    return made


def _argument(action: argparse.Action, name: str, value: str) -> list[str]:
    """One word as arguments: none where its value is empty, several where it has several parts."""
    flag = action.option_strings[-1]
    if action.nargs == 0:
        if value not in ("", "0", "1"):
            raise UserError(f"{name}={value}: 1 turns it on, 0 or nothing off")
        return [flag] * (value == "1")
    if isinstance(action.nargs, int):
        return [flag, *value.split()] if value else []
    if isinstance(action, argparse._AppendAction):
        # Blanks divide names, but belong to paths.
        parts = value.splitlines() if action.type is paths.absolute else value.split()
        return [f"{flag}={part}" for part in parts]
    return [f"{flag}={value}"] if value else []
