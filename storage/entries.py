"""What was synced from remote databases: contents as files named by their hash, and the index of them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage import atomic
from storage.columns import table_to_rows
from storage.connections import transaction
from storage.database import writing
from storage.errors import CorruptContentError
from storage.records import SourceEntry, SourceMember, Sync

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import duckdb

    from storage.recorder import Recorder

DIGITS_OF_FOLDER = 2
WRITERS = 8


def content_path(folder: str | Path, source: str, digest: str) -> Path:
    """Return where the content of a digest lies."""
    return Path(folder) / source / digest[:DIGITS_OF_FOLDER] / f"{digest}.json"


def write_content(folder: str | Path, source: str, text: str) -> str:
    """Write a content, whole or not at all, and return its digest; one that is there is left as it is."""
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()
    path = content_path(folder, source, digest)
    if not path.is_file() or path.stat().st_size != len(content):
        atomic.write_bytes(path, content)
    return digest


def read_content(folder: str | Path, source: str, digest: str) -> str:
    """Return a content.

    Raises
    ------
    CorruptContentError
        When it is not there, or is not what was written.
    """
    path = content_path(folder, source, digest)
    remedy = f"fetch it again with `lihop sync --source {source} --refresh`"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptContentError(f"{path} cannot be read: {error.strerror}; {remedy}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise CorruptContentError(f"{path} is not what was written there; remove it and {remedy}")
    return content.decode()


class EntryStore:
    """The entries of one source as one query selects them, in the working file of a database.

    Parameters
    ----------
    recorder : Recorder
        Writes into the database.
    source : str
        Name of the source.
    query_digest : str
        Digest of the query.
    """

    def __init__(self, recorder: Recorder, source: str, query_digest: str) -> None:
        self.recorder = recorder
        self.source = source
        self.query_digest = query_digest

    @property
    def folder(self) -> Path:
        """Return the folder of the contents of all sources."""
        return self.recorder.paths.entries

    def has_content(self, digest: str | None) -> bool:
        """Tell whether a content lies where it should."""
        return digest is not None and content_path(self.folder, self.source, digest).is_file()

    def write_contents(self, texts: Sequence[str]) -> list[str]:
        """Write contents and return their digests."""
        # Waiting for the disk is most of it, and several can wait at once.
        with ThreadPoolExecutor(max_workers=WRITERS) as writers:
            return list(writers.map(lambda text: write_content(self.folder, self.source, text), texts))

    def last_sync(self, *, completed: bool = False) -> Sync | None:
        """Return the last sync of the query, or the last that was completed; None where there is none."""
        found = self._rows(
            Sync,
            "source = $source AND query_digest = $query_digest AND (NOT $completed OR status = 'completed') "
            "ORDER BY started_at DESC, sync_id DESC LIMIT 1",
            {"query_digest": self.query_digest, "completed": completed},
        )
        return found[0] if found else None

    def asked_otherwise_since(self, sync: Sync) -> bool:
        """Tell whether the source was asked something else since a sync of this query."""
        return bool(
            self._rows(
                Sync,
                "source = $source AND query_digest <> $query_digest AND started_at >= $since LIMIT 1",
                {
                    "query_digest": self.query_digest,
                    "since": sync.started_at.astimezone(UTC).replace(tzinfo=None),
                },
            )
        )

    def entries(self) -> dict[str, SourceEntry]:
        """Return all entries of the source, whatever the query."""
        return {
            row.entry_id: row for row in self._rows(SourceEntry, "source = $source ORDER BY entry_id", {})
        }

    def members(self) -> dict[str, SourceMember]:
        """Return what the query selects, and what it selected before."""
        found = self._rows(
            SourceMember,
            "source = $source AND query_digest = $query_digest ORDER BY entry_id",
            {"query_digest": self.query_digest},
        )
        return {row.entry_id: row for row in found}

    def start(self, sync: Sync) -> None:
        """Record that a sync starts, and that earlier ones of the query which never ended have failed."""
        with writing(self.recorder.paths, self.recorder.wait_s) as connection:
            connection.execute(
                "UPDATE syncs SET status = 'failed' "
                "WHERE source = ? AND query_digest = ? AND status = 'running'",
                [self.source, self.query_digest],
            )
        self.recorder.record(rows=[sync])

    def mark_vanished(self, found: Collection[str], at: datetime) -> int:
        """Mark what the query selected before and no longer does; return how many there were.

        An entry that no query selects any more is marked too.
        """
        asked: dict[str, Any] = {
            "source": self.source,
            "at": at.astimezone(UTC).replace(tzinfo=None),
        }
        with writing(self.recorder.paths, self.recorder.wait_s) as connection:
            connection.register("found", pa.table({"entry_id": pa.array(list(found), type=pa.string())}))
            with transaction(connection):
                gone = connection.execute(
                    "UPDATE source_members SET vanished_at = $at WHERE source = $source "
                    "AND query_digest = $query AND vanished_at IS NULL "
                    "AND entry_id NOT IN (SELECT entry_id FROM found) RETURNING entry_id",
                    asked | {"query": self.query_digest},
                ).fetchall()
                connection.execute(
                    "UPDATE source_entries SET vanished_at = $at WHERE source = $source "
                    "AND vanished_at IS NULL AND entry_id NOT IN "
                    "(SELECT entry_id FROM source_members WHERE source = $source AND vanished_at IS NULL)",
                    asked,
                )
        return len(gone)

    def _rows(self, row_type: type[Any], where: str, asked: dict[str, Any]) -> list[Any]:
        """Return rows of a table; a question alone makes no files."""
        if not self.recorder.has_data():
            return []
        with writing(self.recorder.paths, self.recorder.wait_s) as connection:
            return _read(connection, row_type, where, {"source": self.source} | asked)


def _read(
    connection: duckdb.DuckDBPyConnection, row_type: type[Any], where: str, asked: dict[str, Any]
) -> list[Any]:
    names = ", ".join(row_type.model_fields)
    found = connection.sql(
        f"SELECT {names} FROM {row_type.table} WHERE {where}",  # noqa: S608 - names come from our row types
        params=asked,
    ).to_arrow_table()
    return table_to_rows(found, row_type)
