"""The arguments that every benchmark has: on which photos and weights, and how often."""

from common.cli import Parser, positive, word_or_path
from data.images import BUILT_IN
from models.weights import WORDS


def add_input_arguments(parser: Parser, *, weights: str, photos: str = "") -> None:
    """The photos and the weights; `weights` is the default, `photos` more to say of the photos."""
    parser.add_argument(
        "--data",
        type=word_or_path(*BUILT_IN),
        default="demo",
        metavar="DIR",
        help=f"photos as for validate.py (default: demo){photos}",
    )
    parser.add_argument(
        "--weights",
        type=word_or_path(*WORDS),
        default=weights,
        metavar="W",
        help=f"as for build.py (default: {weights})",
    )


def add_rounds_argument(parser: Parser, default: int) -> None:
    """How often both sides are measured, by turns."""
    parser.add_argument(
        "--rounds", type=positive, default=default, metavar="N", help=f"default: {default}"
    )
