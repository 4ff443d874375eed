"""Row types of what was synced from remote databases: entries, which query has which of them, and syncs."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from storage.rows import Row


class SourceEntry(Row):
    """An entry of a remote database as it was last fetched; its content lies in a file named by its hash."""

    table: ClassVar[str] = "source_entries"
    key: ClassVar[tuple[str, ...]] = ("source", "entry_id")

    source: str = Field(description="name of the source: mp, optimade, ...")
    entry_id: str = Field(description="identifier in its one normal spelling")
    index_digest: str | None = Field(
        default=None, description="digest of what the index said of it; null where it must be fetched anew"
    )
    content_hash: str | None = Field(default=None, description="digest of its content; null without any")
    licence: str | None = Field(default=None, description="SPDX identifier of what it comes under")
    aliases: list[str] = Field(default=[], description="other spellings of its identifier")
    database_version: str | None = Field(default=None, description="version of its content")
    first_seen_at: datetime
    last_seen_at: datetime
    changed_at: datetime | None = Field(default=None, description="when its content last changed")
    vanished_at: datetime | None = Field(default=None, description="when no query found it any more")


class SourceMember(Row):
    """An entry that a query selects, or selected."""

    table: ClassVar[str] = "source_members"
    key: ClassVar[tuple[str, ...]] = ("source", "query_digest", "entry_id")

    source: str
    query_digest: str
    entry_id: str
    sync_id: str = Field(description="sync that last found it")
    vanished_at: datetime | None = Field(default=None, description="when the query no longer found it")
    content_hash: str | None = Field(
        default=None, description="digest of the content that the query saw; null before this was kept"
    )


class Sync(Row):
    """One sync of one query, and what it found."""

    table: ClassVar[str] = "syncs"
    key: ClassVar[tuple[str, ...]] = ("sync_id",)

    sync_id: str
    source: str
    query_digest: str
    query_json: str
    database_version: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    status: str = Field(description="running, completed, failed")
    n_total: int = Field(default=0, ge=0, description="entries that the query selects")
    n_new: int = Field(default=0, ge=0)
    n_changed: int = Field(default=0, ge=0)
    n_unchanged: int = Field(default=0, ge=0)
    n_vanished: int = Field(default=0, ge=0)
    n_quarantined: int = Field(default=0, ge=0)
    citation: str | None = Field(default=None, description="how to cite what it gave")
