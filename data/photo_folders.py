"""What a folder of photos holds: a list, one folder per class, or photos without labels."""

import re
from pathlib import Path

from common.console import say_once
from common.errors import UserError
from data.photo_files import (
    AS_FOUND,
    EITHER,
    LABELLED,
    SUFFIXES,
    UNLABELLED,
    Found,
    Holding,
    Use,
    folders_in,
    photos_in,
    printable,
)
from data.photo_lists import read_list

LIST_NAME = "val_list.txt"
LISTS = {"train": "train_list.txt", "val": LIST_NAME}  # what a set is split into
WHOLE = "all"  # a set that is not split

HOW_TO_LABEL = (
    f"write a {LIST_NAME} ('relative/path label' per line), or sort them into one folder per class"
)
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}
_NAMED = 3  # of many files, in a line


def read_folder(root: Path, class_num: int | None, split: str, use: Use) -> Holding:
    """What a folder holds for a split: by its list, by what is in `<split>/`, or in itself.

    Where a folder has one of the two lists only, nothing is guessed from its subfolders: their
    order need not be that of the list's labels.
    """
    lists = [name for name in LISTS.values() if (root / name).is_file()]
    divided = is_divided(root)
    if split == WHOLE:
        split = "train" if lists else "val"
    if LISTS[split] in lists:
        return read_list(root / LISTS[split], class_num, use)
    if (divided and lists) or (not divided and split == "train"):
        raise UserError(
            f"{printable(root)}: no {LISTS[split]} in it; write {LISTS['train']} and {LIST_NAME} "
            "('relative/path label' per line), or sort its class folders into train/ and val/"
        )
    # Of both parts, so that a class which one of them lacks shifts no numbers.
    parts = [root / name for name in LISTS] if divided else [root]
    place = root / split if divided else root
    if use == UNLABELLED:
        return _unlabelled(photos_in(place), place)
    return _read_class_folders(root, place, _class_folders(*parts), class_num, use)


def is_divided(root: Path) -> bool:
    """Whether a folder has a part to train on and another to judge by."""
    return all((root / name).is_dir() for name in LISTS)


def _class_folders(*roots: Path) -> list[str]:
    """The names of the class folders in any of some folders, in the order of their numbers."""
    names = sorted({name for root in roots for name in folders_in(root)})
    return sorted(names, key=int) if _are_numbers(names) else names


def _read_class_folders(
    root: Path, place: Path, names: list[str], class_num: int | None, use: Use
) -> Holding:
    """What is in a folder's class folders; or in itself, where it has none with photos."""
    beside = photos_in(place, deep=False)
    classes = [photos_in(place / name) if (place / name).is_dir() else Found() for name in names]
    if not any(found.photos or found.left_out for found in classes):
        return _read_flat(root, place, beside, names, use)
    try:
        _refuse_other_folders(place, names)
        numbers = _class_numbers(root, names, class_num or len(names))
    except UserError as error:
        if use == EITHER:
            return _unlabelled(photos_in(place), place)
        hint = "; or take the photos without labels: LABELS=none" * (use == AS_FOUND)
        raise UserError(f"{error}{hint}") from None
    if use == EITHER and beside.photos:
        return _unlabelled(photos_in(place), place)
    paths, labels, whole = [], [], Found(left_out=beside.left_out)
    for label, found in zip(numbers, classes, strict=True):
        paths += found.photos
        labels += [label] * len(found.photos)
        whole.add(found)
    _say_by_content(root, whole)
    left_out = whole.left_out | dict.fromkeys(beside.photos, "beside the class folders")
    complete = len(names) == (class_num or len(names))
    class_names = [printable(name) for name in names] if complete else None
    return Holding(paths, labels, class_names, left_out)


def _read_flat(root: Path, place: Path, found: Found, names: list[str], use: Use) -> Holding:
    """The photos right in a folder, which have no labels."""
    if found.photos and use != LABELLED:
        return _unlabelled(found, place)
    if names and not found.photos:
        raise UserError(
            f"{printable(root)}: no photos in its {len(names)} class folders; "
            f"looked for {' '.join(SUFFIXES)}, and images under other names"
        )
    if not found.photos:
        raise UserError(
            f"{printable(root)}: no photos in it, nor a {LIST_NAME} that names any; looked for "
            f"{' '.join(SUFFIXES)}, and images under other names"
        )
    raise UserError(
        f"{printable(root)}: {len(found.photos)} photos, but neither a {LIST_NAME} nor one folder "
        f"per class in it; photos need labels here, so {HOW_TO_LABEL}"
    )


def _unlabelled(found: Found, place: Path) -> Holding:
    """Photos as they lie in a folder."""
    if not found.photos:
        raise UserError(
            f"{printable(place)}: no photos in it; looked for {' '.join(SUFFIXES)}, and images "
            "under other names"
        )
    _say_by_content(place, found)
    folders = len({path.parent for path in found.photos})
    note = f"{folders} folders, which are no classes" if folders > 1 else ""
    return Holding(found.photos, None, None, found.left_out, note)


def _say_by_content(root: Path, found: Found) -> None:
    if found.by_content:
        named = ", ".join(printable(path.relative_to(root)) for path in found.by_content[:_NAMED])
        more = ", …" if len(found.by_content) > _NAMED else ""
        say_once(
            f"  {printable(root.name)}: {len(found.by_content)} photos are known by their content, "
            f"not by their names: {named}{more}"
        )


def _refuse_other_folders(place: Path, names: list[str]) -> None:
    """Raise UserError where folders are hardly those of classes."""
    if len(names) > 1 and {name.lower() for name in names} <= _PARTS:
        raise UserError(
            f"{printable(place)}: its folders {', '.join(names)} look like parts of a set, not "
            "like classes; give one of them, or call them train and val"
        )
    if len(names) == 1 and not photos_in(place / names[0], deep=False).photos:
        inner = folders_in(place / names[0])
        if len(inner) > 1:
            raise UserError(
                f"{printable(place)}: there is one folder in it, {printable(names[0])}, and "
                f"{len(inner)} in that; where these are the classes, give "
                f"{printable(place / names[0])}"
            )


def _class_numbers(root: Path, names: list[str], class_num: int) -> list[int]:
    """The label of each class folder; UserError where that would be a guess."""
    if len(names) == class_num:
        return list(range(class_num))
    if _are_numbers(names) and int(names[-1]) < class_num:
        return [int(name) for name in names]
    raise UserError(
        f"{printable(root)}: {len(names)} class folders, but the model has {class_num} classes, so "
        f"which is which cannot be known; name the folders by class number (0 to {class_num - 1}), "
        f"or write a {LIST_NAME}"
    )


def _are_numbers(names: list[str]) -> bool:
    return all(re.fullmatch("[0-9]+", name) for name in names)
