"""The checksums of a DuckDB file's blocks, also of those that no query reads, such as an index's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEADERS = 3 * 4096
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
    whole = [_is_whole(block) for block in _blocks(path)]
    # Blocks of another DuckDB may be of another size or be summed otherwise: then nothing is known of them.
    return [number for number, good in enumerate(whole) if not good] if any(whole) else []


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
    words = np.frombuffer(block, dtype="<u8")
    summed = int(np.bitwise_xor.reduce(words[1:] * _FACTOR)) ^ _START
    return summed == int(words[0])
