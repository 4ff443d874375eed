"""Whether the published copy is the one that its working folder published, by a cheap digest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from storage import atomic
from storage.errors import ForeignCopyError

if TYPE_CHECKING:
    from pathlib import Path

# A DuckDB file is three headers of 4096 bytes and then blocks, each of which begins with its checksum: these
# bytes stand for the whole file, and a large one need not be read through.
_HEADERS = 3 * 4096
_BLOCK = 262_144
_CHECKSUM = 64


def fingerprint(path: Path) -> str:
    """Return a digest of a DuckDB file's size, headers and checksums. A plain copy has the same."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_HEADERS))
        for start in range(_HEADERS, size, _BLOCK):
            stream.seek(start)
            digest.update(stream.read(_CHECKSUM))
    return digest.hexdigest()


def check_copy(published: Path, note: Path) -> None:
    """Refuse a published copy that the working folder did not publish.

    Parameters
    ----------
    published : Path
        The published copy; none is fine.
    note : Path
        The file of the working folder that holds the fingerprints of what it published.

    Raises
    ------
    ForeignCopyError
        When publishing would overwrite a file that came from elsewhere.
    """
    if not published.exists() or fingerprint(published) in _noted(note):
        return
    raise ForeignCopyError(
        f"{published} is not the file that was published from {note.parent}: it was replaced or changed "
        "since and would be overwritten. To go on from the file, move the folder "
        f"{note.parent.name} aside; to go on from the folder, move the file aside"
    )


def note_copies(note: Path, *copies: Path) -> None:
    """Keep the fingerprints of those of the files that exist, and forget all earlier ones.

    Before a copy is replaced, both it and the file that will take its place are noted, so that a kill at any
    moment leaves a copy that is known.
    """
    atomic.write_text(note, json.dumps([fingerprint(copy) for copy in copies if copy.exists()]))


def _noted(note: Path) -> list[str]:
    """Return the fingerprints that are kept; none when nothing was published yet."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [str(entry) for entry in found] if isinstance(found, list) else []
