"""Archives of structure files: zip and tar, read where they lie. Nothing of them is written anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, TypeVar, cast

from storage.records import Reason
from tasks.candidates.files_formats import cause_of, parser_for
from tasks.candidates.files_places import Listed, Place
from tasks.candidates.files_tables import TableError, is_table, list_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARCHIVES = "archives of those (.zip, .tar, .tar.gz, .tgz, .tar.xz)"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
NESTED_SUFFIXES = (".zip", *TAR_SUFFIXES, ".txz", ".tar.bz2", ".tbz2", ".7z", ".rar")

MAX_UNPACKED_BYTES = 20_000_000_000
"""Most that an archive may unpack to: what a few kilobytes can pretend to hold is without end."""

MAX_MEMBERS = 1_000_000
MAX_READ_BYTES = 1 << 24
"""Most that is asked of a tar at a time; only its own headers ask for more, and no honest one does."""

ENCRYPTED = 0x1


class ArchiveError(ValueError):
    """An archive cannot be used as a whole, or no further than it was read."""


def is_archive(name: str) -> bool:
    """Say whether a file is an archive that is read, by its name."""
    return name.lower().endswith((".zip", *TAR_SUFFIXES))


def list_members(path: Path, largest_bytes: int) -> Iterator[Listed]:
    """Yield an item for each structure file of an archive, for some rows of each table, and for each refusal.

    Parameters
    ----------
    path : Path
        The archive.
    largest_bytes : int
        A larger member is refused without being kept in memory.
    """
    listing = _list_zip if path.name.lower().endswith(".zip") else _list_tar
    try:
        yield from listing(path, largest_bytes)
    except (ArchiveError, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError) as error:
        why = f"cannot be read ({cause_of(error)}); check that it is complete"
        reason = Reason.UNREADABLE_FILE
        if isinstance(error, ArchiveError):
            why, reason = str(error), Reason.FILE_TOO_LARGE
        # Its members until here stand: this is one more item, for the rest.
        yield _refused(Place(str(path)), "", reason, f"{path.name}: the archive {why}")
    except Exception as error:  # noqa: BLE001 - a broken archive makes its reader raise whatever it does
        why = f"{path.name}: the archive cannot be read ({cause_of(error)}); check that it is complete"
        yield _refused(Place(str(path)), "", Reason.UNREADABLE_FILE, why)


def read_member(place: Place, largest_bytes: int) -> bytes:
    """Return the content of a member, of which no byte over the allowed is read.

    Raises
    ------
    ArchiveError
        When it is larger than allowed, or than the archive says.
    """
    path = Path(place.file)
    at = 0 if place.at is None else place.at
    if path.name.lower().endswith(".zip"):
        with _kept(path, _open_zip) as (archive, members), archive.open(members[at]) as stream:
            return _all_of(stream, largest_bytes)
    with _kept(path, _open_tar) as unpacked:
        unpacked.seek(at)
        content = unpacked.read(min(place.size or 0, largest_bytes))
    if len(content) != place.size:
        raise ArchiveError(f"its data end after {len(content)} bytes of {place.size}")
    return content


_LOCK = threading.Lock()
_KEPT: dict[tuple[object, ...], object] = {}
"""The archive read last, open: members are read in order, and to open it anew would cost a pass over it."""

Opened = TypeVar("Opened")


@contextmanager
def _kept(path: Path, opener: Callable[[Path], Opened]) -> Iterator[Opened]:
    # A process that was forked shares the place in the file with its parent, and so opens its own.
    key = (os.getpid(), str(path), path.stat().st_mtime_ns, path.stat().st_size)
    with _LOCK:
        opened = cast("Opened", _KEPT[key]) if key in _KEPT else opener(path)
        # It is put back whole, or not at all: a time limit may come up in the middle.
        _KEPT.clear()
        yield opened
        _KEPT[key] = opened


def _open_zip(path: Path) -> tuple[zipfile.ZipFile, dict[int, zipfile.ZipInfo]]:
    archive = zipfile.ZipFile(path)
    return archive, {info.header_offset: info for info in archive.infolist()}


def _open_tar(path: Path) -> IO[bytes]:
    name = path.name.lower()
    if name.endswith((".gz", ".tgz")):
        return cast("IO[bytes]", gzip.open(path))
    return cast("IO[bytes]", lzma.open(path)) if name.endswith(".xz") else path.open("rb")


def _all_of(stream: IO[bytes], largest_bytes: int) -> bytes:
    # What the archive says of a member's size need not be so.
    content = stream.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise ArchiveError(f"it has more than {largest_bytes / 1e6:g} MB; raise --max-file-mb")
    return content


def _list_zip(path: Path, largest_bytes: int) -> Iterator[Listed]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _refuse_bomb(len(infos), sum(info.file_size for info in infos))
        for info in infos:
            if info.is_dir() or not _is_read(info.filename):
                continue
            place = Place(str(path), info.filename, info.header_offset, info.file_size)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & ENCRYPTED:
                why = "is encrypted; unpack the archive with its password and give the folder"
                yield _refused_member(place, why)
            elif kind not in {0, stat.S_IFREG}:
                yield _refused_member(place, "is a link or a device and no file; give the file itself")
            else:
                with _opened(archive, info) as stream:
                    yield from _list_member(place, stream, largest_bytes)


@contextmanager
def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes] | Exception]:
    """Open a member, or give the error that it cannot be opened for."""
    try:
        stream = archive.open(info)
    except Exception as error:  # noqa: BLE001 - a broken header makes zipfile raise whatever it does
        yield error
        return
    with stream:
        yield stream


def _list_tar(path: Path, largest_bytes: int) -> Iterator[Listed]:
    with (
        _open_tar(path) as unpacked,
        tarfile.open(fileobj=cast("IO[bytes]", _Bounded(unpacked)), mode="r:") as archive,
    ):
        n_members = 0
        for info in archive:
            n_members += 1
            _refuse_bomb(n_members, info.offset_data)
            # tarfile keeps all that it has seen, which nothing here needs.
            archive.members = []  # type: ignore[attr-defined]
            if info.isdir() or not _is_read(info.name):
                continue
            place = Place(str(path), info.name, info.offset_data, info.size)
            stream = archive.extractfile(info) if info.isreg() and not info.issparse() else None
            if stream is None:
                yield _refused_member(place, "is a link, a device or sparse, and no plain file")
            else:
                yield from _list_member(place, stream, largest_bytes)
        # tarfile takes a broken header for the end, which is a block of zeros or that of the file.
        unpacked.seek(archive.offset)
        if any(unpacked.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError(f"a broken header after {n_members} members hides what follows")


class _Bounded(io.RawIOBase):
    """A file of which not more is read than an archive may hold, nor much of it at a time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        _refuse_bomb(0, offset)
        return self._stream.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ_BYTES:
            raise ArchiveError(
                f"has a header of {size} bytes, allowed are {MAX_READ_BYTES}; it is no honest tar"
            )
        _refuse_bomb(0, self._stream.tell())
        return self._stream.read(size)


def _refuse_bomb(n_members: int, n_bytes: int) -> None:
    if n_members > MAX_MEMBERS:
        raise ArchiveError(f"has more than {MAX_MEMBERS} members; split it, or unpack it and give the folder")
    if n_bytes > MAX_UNPACKED_BYTES:
        raise ArchiveError(
            f"unpacks to more than {MAX_UNPACKED_BYTES / 1e9:g} GB ({n_bytes / 1e9:.1f} GB until there); "
            "split it, or unpack it and give the folder"
        )


def _is_read(name: str) -> bool:
    """Say whether a member is to be read or refused: hidden ones and texts are passed over, as in folders."""
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts
    known = is_table(name) or parser_for(name) is not None or name.lower().endswith(NESTED_SUFFIXES)
    return known and not hidden


def _list_member(place: Place, stream: IO[bytes] | Exception, largest_bytes: int) -> Iterator[Listed]:
    if place.name.lower().endswith(NESTED_SUFFIXES):
        yield _refused_member(place, "is an archive in an archive; unpack the outer one and give the folder")
    elif place.size is None or place.size > largest_bytes:
        size_mb = (place.size or 0) / 1e6
        why = f"has {size_mb:.1f} MB, allowed are {largest_bytes / 1e6:g} MB; raise --max-file-mb"
        yield _refused_member(place, why, Reason.FILE_TOO_LARGE)
    else:
        try:
            if isinstance(stream, Exception):
                raise stream
            content = _all_of(stream, largest_bytes)
            if is_table(place.name):
                rows = list(list_rows(io.BytesIO(content), place, largest_bytes))
                yield from (Listed(_label(place) + one.item_id, one.digest, one.place) for one in rows)
                return
        except TableError as error:
            yield _refused_member(place, f"is no table of structures: {error}")
        except Exception as error:  # noqa: BLE001 - one bad member costs the others nothing
            yield _refused_member(
                place, f"cannot be read ({cause_of(error)}); check that the archive is complete"
            )
        else:
            # The suffix decides how the bytes are read, so it belongs to the content.
            suffix = PurePosixPath(place.name).suffix
            digest = hashlib.sha256(suffix.encode() + b"\0" + content).hexdigest()
            yield Listed(_label(place), digest, place)


def _label(place: Place) -> str:
    """Return what a member is called: its name, which may be anything, in characters that can be printed."""
    return "/" + "".join(letter if letter.isprintable() else "?" for letter in place.name)


def _refused_member(place: Place, why: str, reason: Reason = Reason.UNREADABLE_FILE) -> Listed:
    label = _label(place)
    return _refused(place, label, reason, f"{Path(place.file).name}{label} {why}")


def _refused(place: Place, label: str, reason: Reason, message: str) -> Listed:
    there = Place(place.file, place.member, place.at, place.size, None, reason.value, message)
    return Listed(label, hashlib.sha256(f"{label}\0{message}".encode()).hexdigest(), there)
