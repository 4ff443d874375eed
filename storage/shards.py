"""Parquet shards: how rows travel from workers to the recorder, whole and checked or not at all.

The digest in a shard's metadata is the SHA-256 of the whole file with the digest's own 64 characters read
as zeros, so that not one byte can change unnoticed, the footer's included.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from storage.columns import SCHEMA_VERSION, conform, row_type_of, rows_to_table, table_to_rows
from storage.errors import ShardError
from storage.folders import place, write
from storage.records import Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.folders import Place, RemoteFile

R = TypeVar("R", bound=Row)

_MARK = b"lihop-sha256:"
_BLANK = b"0" * 64
_VERSION_KEY = b"lihop.schema_version"
_TABLE_KEY = b"lihop.table"
_ROWS_KEY = b"lihop.rows"
_DIGEST_KEY = b"lihop.digest"


@dataclass(frozen=True)
class ShardInfo:
    """What travels between tasks in place of rows."""

    path: Place
    table: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Shard:
    """A shard that was read and verified."""

    info: ShardInfo
    data: pa.Table


def write_shard(
    path: Path | RemoteFile, rows: Sequence[Row] | pa.Table, table: str | None = None
) -> ShardInfo:
    """Write rows of one table to a Parquet shard, atomically and durably.

    Parameters
    ----------
    path : Path or RemoteFile
        Where to write; parent folders are made, an existing file is replaced.
    rows : sequence of Row, or pyarrow.Table
        Rows of one type, or an Arrow table with the columns of `table`.
    table : str, optional
        Name of the table. Needed for an Arrow table and for no rows at all.

    Returns
    -------
    ShardInfo
        The path, table, row count and digest.

    Raises
    ------
    RefusedRowsError
        When the rows do not fit the table.
    """
    if isinstance(rows, pa.Table):
        row_type = row_type_of(_named(table))
        data = conform(rows, row_type)
    else:
        row_type = type(rows[0]) if table is None and len(rows) else row_type_of(_named(table))
        row_type_of(row_type.table)
        data = rows_to_table(rows, row_type)
    return seal(path, data, row_type.table)


def read_shard(path: Place, digest: str | None = None) -> Shard:
    """Read and verify a shard of one table.

    Parameters
    ----------
    path : Path or RemoteFile
        The shard.
    digest : str, optional
        The digest that its writer reported, when known.

    Raises
    ------
    ShardError
        When the shard is missing, truncated, damaged, foreign, of another schema version, or not the one
        that was reported.
    FolderError
        When the store that it lies in refuses, or fails again and again.
    """
    shard = unseal(path, digest)
    try:
        data = conform(shard.data, row_type_of(shard.info.table))
    except Exception as error:
        raise ShardError(f"{path}: {error}") from error
    return Shard(shard.info, data)


def read_rows(path: Place, row_type: type[R], digest: str | None = None) -> list[R]:
    """Read and verify a shard as validated rows of one type."""
    shard = read_shard(path, digest)
    if shard.info.table != row_type.table:
        raise ShardError(f"{path}: holds {shard.info.table!r}, not {row_type.table!r}")
    return table_to_rows(shard.data, row_type)


def seal(path: Path | RemoteFile, data: pa.Table, table: str) -> ShardInfo:
    """Write an Arrow table as a shard, with the metadata and the digest that `unseal` checks."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, data.schema, compression="zstd") as writer:
        writer.write_table(data)
        writer.add_key_value_metadata(
            {
                _VERSION_KEY: str(SCHEMA_VERSION).encode(),
                _TABLE_KEY: table.encode(),
                _ROWS_KEY: str(data.num_rows).encode(),
                _DIGEST_KEY: _MARK + _BLANK,
            }
        )
    content = bytearray(sink.getvalue())
    # The metadata stands at the file's end, after all data: the last mark is ours whatever the rows hold.
    start = content.rindex(_MARK + _BLANK) + len(_MARK)
    digest = hashlib.sha256(content).hexdigest()
    content[start : start + len(_BLANK)] = digest.encode()
    target = place(path)
    write(target, bytes(content))
    return ShardInfo(path=target, table=table, rows=data.num_rows, digest=digest)


def unseal(path: Place, digest: str | None = None) -> Shard:
    """Read a shard of any table and check its digest, version and row count; the columns stay unchecked."""
    content = _read(path)
    found = _verify(path, content)
    if digest is not None and digest != found:
        raise ShardError(
            f"{path}: is not the shard that was reported (digest {found}, not {digest}); recompute it"
        )
    try:
        reader = pq.ParquetFile(pa.BufferReader(content))
        metadata = reader.metadata.metadata
        version, table = metadata[_VERSION_KEY].decode(), metadata[_TABLE_KEY].decode()
        rows = int(metadata[_ROWS_KEY])
        data = reader.read()
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ShardError(f"{path}: is not a lihop shard: {error}; recompute it") from error
    if version != str(SCHEMA_VERSION):
        raise ShardError(
            f"{path}: was written for schema version {version}, not {SCHEMA_VERSION}; recompute it, with one "
            "version of lihop on all machines"
        )
    if rows != data.num_rows:
        raise ShardError(f"{path}: holds {data.num_rows} rows but announces {rows}; recompute it")
    return Shard(ShardInfo(path=path, table=table, rows=rows, digest=found), data)


def _named(table: str | None) -> str:
    """Insist on a table name where it cannot be told from the rows."""
    if table is None:
        raise ShardError("an Arrow table or an empty list was given without a table name; pass table=...")
    return table


def _read(path: Place) -> bytes:
    """Return the bytes of a Parquet file, whole as far as its first and last bytes tell."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ShardError(f"{path}: cannot be read: {error.strerror}; recompute it") from error
    if not content.startswith(b"PAR1"):
        raise ShardError(f"{path}: is not a Parquet file ({len(content)} bytes); recompute it")
    if not content.endswith(b"PAR1"):
        raise ShardError(f"{path}: is truncated ({len(content)} bytes); recompute it")
    return content


def _verify(path: Place, content: bytes) -> str:
    """Return the digest that a shard carries, after checking it against the bytes."""
    start = content.rfind(_MARK) + len(_MARK)
    if start < len(_MARK):
        raise ShardError(f"{path}: carries no lihop digest, so it is foreign; only lihop's shards are merged")
    view = memoryview(content)
    stated = bytes(view[start : start + len(_BLANK)])
    actual = hashlib.sha256(view[:start])
    actual.update(_BLANK)
    actual.update(view[start + len(_BLANK) :])
    if stated != actual.hexdigest().encode():
        raise ShardError(f"{path}: is damaged: its bytes do not match its checksum; recompute it")
    return stated.decode()
