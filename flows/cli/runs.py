"""`lihop runs`: the history of runs, what differs between two, and deleting what is not needed any more."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.cli.output import cell, print_json, print_table
from flows.cli.results import Database, Json
from flows.settings import resolve
from storage import history, queries
from storage.deletion import delete_runs
from storage.places import paths_of

if TYPE_CHECKING:
    from storage.asking import Record
    from storage.deletion import Deleted

LIST_COLUMNS = {
    "run_id": "run",
    "name": "name",
    "status": "status",
    "started_at": "started (UTC)",
    "duration_s": "seconds",
    "n_materials": "materials",
    "n_ranked": "with barrier",
    "n_computed": "computed",
    "n_reused": "reused",
    "failures_by_reason": "failures",
}
MATERIAL_COLUMNS = {
    "material_id": "material",
    "state": "state",
    "formula": "formula",
    "barrier_at_dim_ev": "eV",
    "percolation_dim": "dim",
    "reason": "no barrier because",
}
CHANGED_COLUMNS = {"material_id": "material", "state": "state", "formula": "formula", "changed": "was, is"}
PAIR_COLUMNS = {"name": "setting", "was": "was", "is": "is"}
PLURALS = {
    "newly_failing": "Newly failing", "newly_succeeding": "Newly succeeding", "changed": "Changed",
}  # fmt: skip

runs_app = typer.Typer(
    help="The history of runs: list, show, compare and delete them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (("list", list_runs), ("show", show), ("diff", diff), ("delete", delete)):
        runs_app.command(name)(command)
    app.add_typer(runs_app, name="runs")


def _database(given: str | None) -> str:
    return resolve({"database": given}).database


def list_runs(
    limit: Annotated[int | None, typer.Option(min=1, help="Most rows.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print the runs, newest first."""
    rows = queries.runs(_database(database), limit=limit)
    if as_json:
        print_json(rows)
        return
    print_table(rows, LIST_COLUMNS, digits={"duration_s": 1}, whole={"run_id"})


def show(
    run: Annotated[str, typer.Argument(help="Identifier, its beginning, or latest.")] = history.LATEST,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print a run: its manifest, settings, counts, and failures by reason."""
    card = history.run_card(_database(database), run)
    if as_json:
        print_json(card)
        return
    parts = {name: card[name] for name in ("settings", "failures_by_reason")}
    for title, found in (("Run", {k: v for k, v in card.items() if k not in parts}), *_titled(parts)):
        rows = [{"name": name, "value": cell(value)} for name, value in found.items()]
        print_table(rows, {"name": "", "value": ""}, title=title)


def _titled(parts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("Settings", parts["settings"]), ("Failures by reason", parts["failures_by_reason"])]


def diff(
    first: Annotated[
        str | None, typer.Argument(help="The earlier run; the one before the later one otherwise.")
    ] = None,
    second: Annotated[str | None, typer.Argument(help="The later run; the newest otherwise.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print what differs between two runs: settings, materials, barriers, and what newly fails."""
    found = history.diff(_database(database), first, second)
    if as_json:
        print_json(found)
        return
    print(f"From {found['first']['run_id']} to {found['second']['run_id']}")
    for title in ("settings", "manifest"):
        rows = [
            {"name": name, "was": cell(was), "is": cell(now)} for name, (was, now) in found[title].items()
        ]
        if rows:
            print_table(rows, PAIR_COLUMNS, title=title.capitalize())
    for name in ("came", "went"):
        if found[name]:
            print_table(found[name], MATERIAL_COLUMNS, title=f"{name.capitalize()}: {len(found[name])}")
    for name, title in PLURALS.items():
        if found[name]:
            print_table([_spelled(row) for row in found[name]], CHANGED_COLUMNS, title=title)
    print(f"{found['n_same']} materials are the same in both.")


def _spelled(row: Record) -> Record:
    """Return a material with its changes in words."""
    words = [f"{name} {cell(was)}, {cell(now)}" for name, (was, now) in row["changes"].items()]
    return row | {"changed": "; ".join(words)}


def delete(
    given: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Identifiers, beginnings of them, or latest.")
    ],
    results: Annotated[
        bool, typer.Option("--results", help="Delete also results that no other run takes part in.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete runs that never ended, too.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Delete runs from the history, and with --results what only they came to."""
    paths = paths_of(_database(database))
    if not yes:
        planned = delete_runs(paths, given, results=results, force=force, dry_run=True)
        _confirm(planned)
        # What was confirmed, and not what `latest` has come to mean since.
        given = list(planned.runs)
    done = delete_runs(paths, given, results=results, force=force)
    if as_json:
        print_json(done.as_dict())
        return
    print(f"Deleted {_said(done)}.")


def _confirm(planned: Deleted) -> None:
    """Ask on a terminal, and refuse otherwise."""
    if not sys.stdin.isatty():
        raise UsageError(f"this would delete {_said(planned)}; give --yes if that is meant")
    if not typer.confirm(f"Delete {_said(planned)}?", err=True):
        raise UsageError("nothing was deleted")


def _said(deleted: Deleted) -> str:
    """Return in words what is deleted."""
    rows = ", ".join(f"{count} rows of {table}" for table, count in deleted.rows.items() if count)
    shards = f", {deleted.shards} shards ({deleted.shard_bytes} bytes)" if deleted.shards else ""
    return f"{', '.join(deleted.runs)}: {rows}{shards}"
