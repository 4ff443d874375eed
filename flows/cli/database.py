"""`lihop db`: whether the database is whole, space given back, snapshots, and what to do after damage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.errors import NOTHING_USABLE, UsageError
from flows.cli.output import print_json, print_table
from flows.cli.results import Database, Json
from flows.settings import resolve
from storage import checks, moving, snapshots, vacuum
from storage.places import paths_of
from storage.snapshot_files import kept_in

if TYPE_CHECKING:
    from storage.places import DatabasePaths

SNAPSHOT_COLUMNS = {
    "name": "snapshot",
    "taken_at": "taken (UTC)",
    "bytes": "bytes",
    "schema_version": "schema",
    "n_rows": "rows",
}
CHECK_COLUMNS = {"check": "check", "ok": "ok", "detail": "found", "remedy": "what to do"}

database_app = typer.Typer(
    help="The database's files: check them, give space back, keep and restore snapshots.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("check", check), ("vacuum", vacuum_database), ("shards", shards), ("snapshot", snapshot),
        ("restore", restore),
    ):  # fmt: skip
        database_app.command(name)(command)
    app.add_typer(database_app, name="db")


def _paths(database: str | None) -> DatabasePaths:
    return paths_of(resolve({"database": database}).database)


def check(database: Database = None, as_json: Json = False) -> None:
    """Read the database and its shards through; say what is wrong and what to do, and exit with 1 if so."""
    found = checks.check(_paths(database))
    # What is as it should be needs no remedy.
    rows = [one.as_dict() | ({"remedy": None} if one.ok else {}) for one in found]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, CHECK_COLUMNS)
        for row in rows:
            for entry in row["files"]:
                print(f"{entry['bytes']:>12}  {entry['path']}  {entry.get('reason', '')}".rstrip())
    if not all(one.ok for one in found):
        raise typer.Exit(NOTHING_USABLE)


def vacuum_database(
    force: Annotated[
        bool, typer.Option("--force", help="Remove also shards that a run which never ended may still read.")
    ] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Give back the space of deleted rows and of shards that nothing refers to."""
    done = vacuum.vacuum(_paths(database), force=force)
    if as_json:
        print_json(done.as_dict())
        return
    print(f"Database: {done.database_bytes_before} bytes, now {done.database_bytes_after}.")
    print(
        f"Shards: {done.shard_bytes_before} bytes, now {done.shard_bytes_after}; "
        f"{done.shards_removed} removed."
    )
    if done.shards_in_use:
        print(
            f"{done.shards_in_use} shards were left to runs that have not ended (`lihop runs list` names "
            "them). If they are dead, --force removes these too."
        )


def shards(
    move_to: Annotated[
        str | None,
        typer.Option(help="Results folder to move them to: a path, or a URI as in s3://bucket/prefix."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Move them also while a run has not ended: its process is dead.")
    ] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Say where shards lie, or move those that are read again to another results folder."""
    found = moving.move_shards(_paths(database), move_to, force=force)
    if as_json:
        print_json(found.as_dict())
        return
    print(f"Results folder: {found.given}")
    print(f"{found.n_shards} shards ({found.bytes} bytes) that later runs read lie in {found.shards}.")


def snapshot(
    to: Annotated[str | None, typer.Option(help="File to write, instead of one among the snapshots.")] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep so many snapshots, the newest, and remove older ones.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Print the snapshots there are instead.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Keep a copy of the database as it is now."""
    paths = _paths(database)
    if show:
        if to is not None or keep is not None:
            raise UsageError("--list was given with --to or --keep; it prints snapshots and makes none")
        rows = [one.as_dict() for one in kept_in(paths.snapshots)]
        if as_json:
            print_json(rows)
            return
        counted = [
            row | {"n_rows": None if row["rows"] is None else sum(row["rows"].values())} for row in rows
        ]
        print_table(counted, SNAPSHOT_COLUMNS, whole={"name"})
        return
    kept, removed = snapshots.take(paths, to=None if to is None else Path(to), keep=keep)
    if as_json:
        print_json(kept.as_dict() | {"removed": [path.stem for path in removed]})
        return
    print(f"Kept {kept.path} ({kept.bytes} bytes).")
    for path in removed:
        print(f"Removed {path}.")


def restore(
    which: Annotated[
        str,
        typer.Argument(
            metavar="[SNAPSHOT]",
            help="latest, the name or the path of a snapshot, published (goes on from the published copy), "
            "or working (publishes the working file again).",
        ),
    ] = snapshots.LATEST,
    yes: Annotated[bool, typer.Option("--yes", help="Replace a database that can be read, too.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Put a snapshot back; what it replaces is moved aside and never deleted."""
    done = snapshots.restore(_paths(database), which, confirmed=yes)
    if as_json:
        print_json(done.as_dict())
        return
    print(f"Restored {done.source} ({sum(done.rows.values())} rows).")
    for path in done.replaced:
        print(f"What it replaced lies at {path}.")
