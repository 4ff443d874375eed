"""Errors of storage: each says what was given, what is allowed and what to do."""

from __future__ import annotations


class StorageError(RuntimeError):
    """Something is wrong with a database, a shard or a question asked of them."""


class DatabaseMissingError(StorageError):
    """There is no database at the path that was given."""


class DatabaseLockedError(StorageError):
    """Another process holds the database, and the wait for it is over."""


class NewerSchemaError(StorageError):
    """The database was written by a newer lihop."""


class SchemaMismatchError(StorageError):
    """A database or a migration is not what this lihop expects."""


class CorruptDatabaseError(StorageError):
    """The file is damaged, or is no DuckDB file."""


class ForeignCopyError(StorageError):
    """The published file is not the one that the working folder beside it published."""


class RefusedRowsError(StorageError):
    """Rows break a constraint of the table that they were meant for."""


class ManifestMismatchError(StorageError):
    """A run was resumed under settings that differ from those it was started with."""


class ShardError(StorageError):
    """A shard is missing, truncated, damaged or foreign."""


class FolderError(StorageError):
    """A results folder is not allowed, or cannot be reached, read or written."""


class QueryError(StorageError, ValueError):
    """A question cannot be answered: bad SQL, an unknown column, or not a read."""


class CorruptContentError(StorageError):
    """The content of a synced entry is not there, or is not what was written."""
