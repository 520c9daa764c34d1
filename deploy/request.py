"""What a user asks of the commands that build and judge: the arguments, as values."""

import argparse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.cli import Parser, positive
from convert.to_onnx import DEFAULT_OPSET, OPSETS
from deploy.targets import TARGETS, find_cells
from deploy.targets.base import Options, Target

if TYPE_CHECKING:
    from data.images import ImageSet

Cell = tuple[Target, str]  # a target and one of its precisions


@dataclass(frozen=True)
class Files:
    """From which weights, and how, the files are made. None: see `deploy.chain`."""

    weights: str | None = None
    class_num: int | None = None
    options: Options = field(default_factory=lambda: Options(DEFAULT_OPSET))


@dataclass(frozen=True)
class Photos:
    """Which photos judge: a source for `ImageSet.open`, and how many of them (None: all)."""

    source: str = "demo"
    count: int | None = None
    skip_bad: bool = False

    def open(self, class_num: int) -> "ImageSet":
        """The photos and their labels, for a model of so many classes."""
        from data.images import ImageSet  # here: --help needs no photos

        images = ImageSet.open(self.source, class_num)
        return images.spread(self.count) if self.count else images


def every_cell() -> list[Cell]:
    """All precisions of all targets."""
    return [(target, precision) for target in TARGETS.values() for precision in target.precisions]


def add_file_arguments(parser: Parser, target_default: list[str] | None = None) -> None:
    """The arguments of every command that makes files."""
    parser.add_argument(
        "--target",
        action="append",
        required=target_default is None,
        metavar="NAME",
        help=f"{', '.join(TARGETS)} or all; repeatable",
    )
    parser.add_argument(
        "--precision",
        action="append",
        metavar="P",
        help="fp32, bf16, fp16; repeatable (default: every precision of the target)",
    )
    add_weight_arguments(parser)
    parser.add_argument(
        "--opset",
        type=int,
        default=DEFAULT_OPSET,
        choices=OPSETS,
        metavar="N",
        help=f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]} (default: {DEFAULT_OPSET}; 13 for old "
        "runtimes)",
    )
    parser.set_defaults(target_default=target_default)


def add_weight_arguments(parser: Parser) -> None:
    """The arguments of every command that needs a model's weights."""
    parser.add_argument(
        "--weights",
        metavar="W",
        help="a file, a folder, official, demo or random (default: what was exported last, else "
        "what is found)",
    )
    parser.add_argument("--classes", type=positive, metavar="N", help="default: 1000")


def add_data_arguments(parser: Parser) -> None:
    """The arguments of every command that takes photos."""
    parser.add_argument(
        "--data",
        default="demo",
        metavar="DIR",
        help="a folder with val_list.txt, one folder per class, cifar10 or demo (default)",
    )
    parser.add_argument(
        "--photos", type=positive, metavar="N", help="only N of them, evenly spread"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave unreadable photos out, and count them"
    )


def add_photo_arguments(parser: Parser) -> None:
    """The arguments of every command that judges targets on photos."""
    add_data_arguments(parser)
    parser.add_argument(
        "--budget",
        type=float,
        metavar="PP",
        help="top-1 loss allowed, in percentage points (default: 1 %% of the reference's top-1)",
    )
    parser.add_argument(
        "--accept-simulated",
        action="store_true",
        help="exit 0 where only the hardware is missing and its simulation passes",
    )


def chosen_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the arguments ask for; UserError for a name that there is not."""
    return find_cells(options.target or options.target_default, options.precision)


def chosen_files(options: argparse.Namespace) -> Files:
    return Files(options.weights, options.classes, Options(options.opset))


def chosen_photos(options: argparse.Namespace) -> Photos:
    return Photos(options.data, options.photos, options.skip_bad)
