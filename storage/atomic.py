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
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on failure it is removed.

    The rename is atomic: a reader sees the old file or the new one, never a part. Parent folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed short name: the target's own may already be as long as the file system allows.
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


def copy_file(source: Path, target: Path) -> None:
    """Copy `source` over `target` atomically and durably."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


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
