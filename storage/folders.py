"""Folders for shards, local or in an object store, and the files in them, which are whole or absent."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from storage import atomic
from storage.errors import FolderError
from storage.folder_names import is_remote, joined, options_of
from storage.insisting import insist

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyarrow.fs import FileSystem

# Of the SDK's own attempts, before ours: they go on within one upload of many parts.
SDK_ATTEMPTS = 3
DELETED_AT_ONCE = 8
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""What AWS's own tools read where no endpoint is given, the first one before the second."""


class Place(Protocol):
    """A file in a folder: a path, or an object in a store."""

    @property
    def name(self) -> str:
        """Name within the folder."""

    def exists(self) -> bool:
        """Tell whether it is there."""

    def is_file(self) -> bool:
        """Tell whether it is there, and a file."""

    def read_bytes(self) -> bytes:
        """Return what is in it."""

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as of a path
        """Remove it."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in an object store; small, and opened where it is used, so that it can travel between processes.

    Parameters
    ----------
    uri : str
        Where it lies.
    """

    uri: str

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """Name within the folder."""
        return unquote(urlsplit(self.uri).path).rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folder that it lies in."""
        path, asked, options = self.uri.partition("?")
        return f"{path.rpartition('/')[0]}{asked}{options}"

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self.is_file()

    def is_file(self) -> bool:
        """Tell whether it is there, and a file."""
        system, path = _opened(self.folder)
        found = insist(lambda: system.get_file_info(f"{path}/{self.name}"), self.folder)
        return bool(found.is_file)

    def read_bytes(self) -> bytes:
        """Return what is in it.

        Raises
        ------
        FileNotFoundError
            When it is not there.
        FolderError
            When the store refuses, or fails again and again.
        """
        system, path = _opened(self.folder)

        def read() -> bytes:
            with system.open_input_file(f"{path}/{self.name}") as file:
                return bytes(file.read())

        try:
            return insist(read, self.folder)
        except FileNotFoundError:
            # As the system would say it of a path.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.uri) from None

    def write_bytes(self, content: bytes) -> None:
        """Put content there, in one piece: others see what was there before, or all of it.

        Raises
        ------
        FolderError
            When the store refuses, or fails again and again.
        """
        system, path = _opened(self.folder)

        def write() -> None:
            with system.open_output_stream(f"{path}/{self.name}") as file:
                file.write(content)

        try:
            insist(write, self.folder)
        except FileNotFoundError:
            # What is not there, when something is to be put there, is the bucket.
            raise FolderError(
                f"the bucket of the results folder {self.folder} is not there; make it, or give another"
            ) from None

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as of a path
        """Remove it."""
        system, path = _opened(self.folder)
        try:
            insist(lambda: system.delete_file(f"{path}/{self.name}"), self.folder)
        except FileNotFoundError:
            if not missing_ok:
                raise


@dataclass(frozen=True)
class ShardFile:
    """A file among the shards: where it lies, size in bytes, and when it was written."""

    path: Place
    bytes: int
    written_at: datetime


def place(where: str | Path | RemoteFile) -> Path | RemoteFile:
    """Return a file by its path or URI."""
    if isinstance(where, RemoteFile):
        return where
    return RemoteFile(where) if isinstance(where, str) and is_remote(where) else Path(where)


def within(folder: str | Path, name: str) -> Path | RemoteFile:
    """Return a file of some name in a folder."""
    text = str(folder)
    return RemoteFile(joined(text, name)) if is_remote(text) else Path(folder) / name


def write(where: Path | RemoteFile, content: bytes) -> None:
    """Write content to a file, atomically and durably."""
    if isinstance(where, RemoteFile):
        where.write_bytes(content)
    else:
        atomic.write_bytes(where, content)


def move_aside(where: Place, target: Path) -> None:
    """Move a file to a local path; out of a store it is copied, and then deleted there."""
    if isinstance(where, Path):
        shutil.move(where, target)
    else:
        atomic.write_bytes(target, where.read_bytes())
        where.unlink(missing_ok=True)


def there(folder: str | Path) -> list[ShardFile]:
    """Return the files in a folder, by name.

    Raises
    ------
    FolderError
        When a store refuses, or fails again and again.
    """
    if is_remote(str(folder)):
        return _listed(str(folder))
    found = []
    for path in sorted(Path(folder).glob("*")) if Path(folder).is_dir() else []:
        if path.is_file():
            state = path.stat()
            found.append(ShardFile(path, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC)))
    return found


def remove(files: Iterable[ShardFile]) -> None:
    """Remove files; one that is gone is fine.

    Raises
    ------
    FolderError
        When a store refuses, or fails again and again; some files are left then.
    """
    remote = []
    for one in files:
        if isinstance(one.path, Path):
            one.path.unlink(missing_ok=True)
        else:
            remote.append(one.path)
    if remote:
        with ThreadPoolExecutor(DELETED_AT_ONCE, thread_name_prefix="lihop-delete") as threads:
            list(threads.map(lambda path: path.unlink(missing_ok=True), remote))


def try_out(folder: str) -> None:
    """See to it that files can be written to, read from and deleted in a folder.

    Raises
    ------
    FolderError
        When they cannot, with what to do.
    """
    if not is_remote(folder):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
    probe = within(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        write(probe, b"lihop")
        probe.read_bytes()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: str, error: OSError) -> FolderError:
    return FolderError(
        f"the results folder {folder} cannot be written: {error.strerror or error}. Make room there, or give "
        "another --shards"
    )


def _listed(folder: str) -> list[ShardFile]:
    """Return the files in a remote folder, by name."""
    from pyarrow.fs import FileSelector

    system, path = _opened(folder)
    try:
        found = insist(lambda: system.get_file_info(FileSelector(path, allow_not_found=True)), folder)
    except FileNotFoundError:
        found = []
    return [
        ShardFile(RemoteFile(joined(folder, one.base_name)), one.size, one.mtime or datetime.now(UTC))
        for one in sorted(found, key=lambda one: str(one.base_name))
        if one.is_file
    ]


@cache
def _opened(folder: str) -> tuple[FileSystem, str]:
    """Return the file system of a remote folder, and the folder's path in it; once a process."""
    from pyarrow.fs import FileSystem

    if folder.startswith("s3:"):
        return insist(lambda: _s3(folder), folder)
    system, path = insist(lambda: FileSystem.from_uri(folder), folder)
    return system, path.rstrip("/")


def _s3(folder: str) -> tuple[FileSystem, str]:
    """Return S3 as pyarrow's own URIs would have it, with retries and without needless requests."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    options, parts = options_of(folder), urlsplit(folder)
    endpoint, region = options.get("endpoint_override"), options.get("region")
    scheme = options.get("scheme", "https")
    named = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
    if endpoint is None and named is not None:
        endpoint, scheme = urlsplit(named).netloc.rpartition("@")[2], urlsplit(named).scheme
    if region is None and endpoint is None:
        region = resolve_s3_region(parts.netloc)
    system = S3FileSystem(
        region=region,
        endpoint_override=endpoint,
        scheme=scheme,
        force_virtual_addressing=options.get("force_virtual_addressing", "false").lower() == "true",
        tls_ca_file_path=options.get("tls_ca_file_path"),
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=SDK_ATTEMPTS),
        allow_delayed_open=True,
        background_writes=False,
    )
    return system, f"{parts.netloc}{unquote(parts.path)}"
