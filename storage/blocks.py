"""The checksums of a DuckDB file's blocks, also of those that no query reads, such as an index's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_HEADER = 4096
_HEADERS = 3 * _HEADER
_BLOCK = 262_144
_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_START = 5381


def damaged_blocks(path: Path) -> list[int]:
    """Return the blocks of a database file whose bytes are not those that their checksums were taken of.

    Parameters
    ----------
    path : Path
        The file, which nobody may write to meanwhile.

    Returns
    -------
    list of int
        Numbers of blocks; none when all is well, or when the checksums are not of the kind known here.
    """
    n_blocks = _n_blocks(path)
    # A kill while a file grows leaves a part of a block at its end, of which its header does not know yet.
    whole = [
        _is_whole(block) or (len(block) < _BLOCK and n_blocks is not None and number >= n_blocks)
        for number, block in enumerate(_blocks(path))
    ]
    # Blocks of another DuckDB may be of another size or be summed otherwise: then nothing is known of them.
    return [number for number, good in enumerate(whole) if not good] if any(whole) else []


def _n_blocks(path: Path) -> int | None:
    """Return how many blocks a file has by its newest whole header; None when that is not known."""
    with path.open("rb") as stream:
        headers = [np.frombuffer(stream.read(_HEADER), dtype="<u8") for _ in range(_HEADERS // _HEADER)][1:]
    # After its checksum a header says which one it is, where its tables and its free blocks are, and this.
    told = [
        (int(words[1]), int(words[4]))
        for words in headers
        if len(words) == _HEADER // 8 and _is_summed(words)
    ]
    return max(told)[1] if told else None


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the blocks of a file, each of which begins with its checksum.

    The headers before them are left to DuckDB: of two one may be torn by a kill, and is not used then.
    """
    with path.open("rb") as stream:
        stream.seek(_HEADERS)
        while block := stream.read(_BLOCK):
            yield block


def _is_whole(block: bytes) -> bool:
    """Tell whether a block has the checksum that it states; what was never written is whole."""
    if len(block) != _BLOCK:
        return False
    if not any(block):
        return True
    return _is_summed(np.frombuffer(block, dtype="<u8"))


def _is_summed(words: NDArray[np.uint64]) -> bool:
    """Tell whether the first of some words is the checksum of the others."""
    summed = int(np.bitwise_xor.reduce(words[1:] * _FACTOR)) ^ _START
    return summed == int(words[0])
