"""Sets of photos by what they contain, so that moved and renamed files are still known.

A photo's key is the first 64 bits of its file's SHA-256. A set of 1.28 million photos takes 10 MB,
and the chance that any of 50,000 others is taken for one of them is 50,000 · 1.28e6 / 2^64, some
4e-9 (the union bound).
"""

import base64
import binascii
from collections.abc import Iterable, Sequence

import numpy as np

from data.hashes import UNREADABLE

_KEY = np.dtype(">u8")
_DIGITS = 2 * _KEY.itemsize  # of a hash in hexadecimal


class Contents:
    """A set of photos by their contents."""

    def __init__(self, keys: np.ndarray):
        # By sorting: numpy's unique and isin take seconds for a million.
        keys = np.sort(keys.astype(np.uint64))
        self._keys = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys

    @classmethod
    def of(cls, hashes: Iterable[str]) -> "Contents":
        """The photos with these SHA-256, in hexadecimal; what could not be read is none."""
        return cls(_keys([digest for digest in hashes if digest != UNREADABLE]))

    @classmethod
    def parse(cls, text: str) -> "Contents":
        """The set in the text that `str` gives; ValueError where it is none."""
        try:
            data = base64.b64decode(text.encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise ValueError("it is not in base64") from None
        if len(data) % _KEY.itemsize:
            raise ValueError(f"it holds {len(data)} bytes, not {_KEY.itemsize} for each photo")
        return cls(np.frombuffer(data, _KEY))

    def __str__(self) -> str:
        """The keys in ascending order, big-endian, in base64."""
        return base64.b64encode(self._keys.astype(_KEY).tobytes()).decode()

    def __len__(self) -> int:
        return len(self._keys)

    def __or__(self, other: "Contents") -> "Contents":
        return Contents(np.concatenate([self._keys, other._keys]))

    def has(self, hashes: Sequence[str]) -> np.ndarray:
        """Which of the photos with these SHA-256 are in the set: bool [n]."""
        found = np.zeros(len(hashes), bool)
        if not len(self):
            return found
        readable = np.array([digest != UNREADABLE for digest in hashes], bool)
        wanted = _keys([digest for digest in hashes if digest != UNREADABLE]).astype(np.uint64)
        places = np.searchsorted(self._keys, wanted).clip(max=len(self) - 1)
        found[readable] = self._keys[places] == wanted
        return found


def _keys(hashes: Sequence[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(digest[:_DIGITS] for digest in hashes)), _KEY)
