"""Migrations and views: how a file gets its tables, and how a file from another version is told apart."""

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from storage.columns import SCHEMA_VERSION
from storage.connections import transaction
from storage.errors import NewerSchemaError, SchemaMismatchError
from storage.published import spread_comments

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEWS = "views"


@dataclass(frozen=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the statements."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the migrations that ship with this lihop, oldest first."""
    return [Migration(int(name.split("_")[0]), name, sql) for name, sql in _scripts("migrations")]


def views() -> Migration:
    """Return the statements that make all views, as one step of the newest version."""
    sql = "\n".join(sql for _, sql in _scripts("views"))
    return Migration(SCHEMA_VERSION, VIEWS, sql)


def migrate(connection: duckdb.DuckDBPyConnection, steps: Sequence[Migration] | None = None) -> list[str]:
    """Bring the current database to the newest schema and views, in one transaction.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection whose current database is the working file.
    steps : sequence of Migration, optional
        The migrations to apply; by default those that ship with this lihop.

    Returns
    -------
    list of str
        The names of the steps that were applied; empty when the file was up to date.

    Raises
    ------
    NewerSchemaError
        When the file was written by a newer lihop.
    SchemaMismatchError
        When a migration in the file is not the one of the same number that ships with this lihop.
    """
    wanted = migrations() if steps is None else list(steps)
    applied = applied_steps(connection)
    check_version(applied, wanted)
    pending = pending_steps(applied, wanted)
    if not pending:
        return []
    with transaction(connection):
        for step in pending:
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?, ?) "
                "ON CONFLICT (version, name) DO UPDATE "
                "SET digest = excluded.digest, applied_at = excluded.applied_at",
                [step.version, step.name, step.digest, datetime.now(UTC).replace(tzinfo=None)],
            )
        # Whatever was pending, the views were made anew at the end.
        spread_comments(connection)
    return [step.name for step in pending]


def pending_steps(applied: dict[tuple[int, str], str], wanted: Sequence[Migration]) -> list[Migration]:
    """Return what a database with these steps lacks: migrations, and all views when any changed."""
    pending = [step for step in wanted if (step.version, step.name) not in applied]
    view_step = views()
    if pending or applied.get((view_step.version, VIEWS)) != view_step.digest:
        pending.append(view_step)
    return pending


def applied_steps(connection: duckdb.DuckDBPyConnection) -> dict[tuple[int, str], str]:
    """Return the digest of every step that the current database has, by version and name.

    An empty database has none; one with tables but without our bookkeeping is foreign and refused.
    """
    try:
        rows = connection.execute("SELECT version, name, digest FROM schema_migrations").fetchall()
    except duckdb.CatalogException:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() LIMIT 3"
        ).fetchall()
        if tables:
            names = ", ".join(row[0] for row in tables)
            raise SchemaMismatchError(
                f"the file is a DuckDB database but not one of lihop's (it holds {names}); give another --db"
            ) from None
        return {}
    return {(int(version), str(name)): str(digest) for version, name, digest in rows}


def check_version(applied: dict[tuple[int, str], str], wanted: Sequence[Migration]) -> None:
    """Refuse a file from a newer lihop, or one whose migrations are not ours."""
    newest = max((step.version for step in wanted), default=0)
    found = max((version for version, _ in applied), default=0)
    if found > newest:
        raise NewerSchemaError(
            f"the database has schema version {found}; this lihop knows versions up to {newest}. "
            "Upgrade lihop, or give another --db"
        )
    for step in wanted:
        digest = applied.get((step.version, step.name))
        if digest is not None and digest != step.digest:
            raise SchemaMismatchError(
                f"migration {step.name} in the database is not the one that ships with this lihop. "
                "Use the version of lihop that wrote the file, or move the file and its working folder aside"
            )


def _scripts(folder: str) -> list[tuple[str, str]]:
    """Return name and text of the SQL files in a folder of this package, by name."""
    files = importlib.resources.files("storage").joinpath(folder)
    return [
        (entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in sorted(files.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]
