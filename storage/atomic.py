"""Files that are either whole or absent: written to a temporary name, fsynced, renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on failure it is removed.

    The rename is atomic: a reader sees the old file or the new one, never a part. Parent folders are made.

    Parameters
    ----------
    path : Path
        What is to be there in the end.
    temporary : Path, optional
        The temporary path, on the same file system. Given by who alone may write there: what a kill leaves of
        it is then written over by the next, where a name of its own each time would fill the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if temporary is None:
        # A short name: the target's own may already be as long as the file system allows.
        temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` atomically and durably."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, atomically and durably."""
    write_bytes(path, text.encode())


def copy_file(source: Path, target: Path, temporary: Path | None = None) -> None:
    """Copy `source` over `target` atomically and durably, by way of a temporary path as in `replacing`."""
    with replacing(target, temporary) as written:
        shutil.copyfile(source, written)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    sync_file(path)
