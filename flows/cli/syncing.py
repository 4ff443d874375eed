"""`lihop sync`: what a remote database has for a query, brought into the store."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import NothingUsableError
from flows.cli.output import print_json
from flows.cli.query_flags import max_sites_of, query_of, with_query_flags
from flows.cli.screening import described, telling_of_interrupts
from flows.named import listed, told_of_missing
from flows.parameters import QUERIES, SyncParameters
from flows.settings import resolve, sync_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping


def of_sync(name: str) -> str:
    """Return the help of a parameter, from where the Prefect UI has it too."""
    return SyncParameters.model_fields[name].description or name


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(with_query_flags(sync))


def sync(  # the flags of the command, one argument each
    asked: dict[str, Any],
    source: Annotated[str, typer.Option(help=f"{of_sync('source')} [{', '.join(QUERIES)}]")] = "mp",
    working_ion: Annotated[str | None, typer.Option(help=of_sync("working_ion"))] = None,
    max_sites: Annotated[int | None, typer.Option(help=described("max_sites"))] = None,
    database: Annotated[str | None, typer.Option("--database", "--db", help=of_sync("database"))] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help=of_sync("refresh"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=of_sync("dry_run"))] = False,
    prefect: Annotated[
        bool, typer.Option("--prefect/--no-prefect", help="Run as a Prefect flow, or plainly.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's log.")] = False,
) -> None:
    """Fetch what is new or changed in a remote database, and mark what vanished; nothing is fetched twice."""
    flags = {"working_ion": working_ion, "database": database}
    shared = {"working_ion": working_ion, "max_sites": max_sites}
    query = query_of(source, asked, shared)
    # What lihop.toml has of a query may be allowed only together with its flags.
    bound = max_sites_of(resolve(flags | ({source: query} if query else {})), source)
    query = query_of(source, asked, shared | {"max_sites": bound if max_sites is None else max_sites})
    settings = resolve(flags | ({source: query} if query else {}))
    parameters = sync_parameters(settings, source=source, refresh=refresh, dry_run=dry_run)
    from flows.progress import bars

    with telling_of_interrupts(), nullcontext() if as_json else bars("entries"):
        summary = run_flow(parameters, verbose=verbose) if prefect else run_plain(parameters)
    print_json(summary) if as_json else print(text_of(summary))
    if summary["n_total"] == 0:
        raise NothingUsableError(f"{parameters.source!r} has nothing for this query; ask for more")


def run_plain(parameters: SyncParameters) -> dict[str, Any]:
    """Sync without Prefect."""
    from flows.sync import sync as sync_plainly

    return sync_plainly(parameters).as_dict()


def run_flow(parameters: SyncParameters, *, verbose: bool) -> dict[str, Any]:
    """Sync as a Prefect flow, on the API that is set up or on an ephemeral one."""
    from flows.prefect_environment import prepare_prefect, wake_prefect

    prepare_prefect(verbose=verbose)
    wake_prefect()
    from flows.orchestration.starting import run_as_ours
    from flows.sync_flow import sync_candidates

    return run_as_ours(sync_candidates, parameters)


def text_of(summary: Mapping[str, Any]) -> str:
    """Return what people read at the end of a sync."""
    version = "no version stated" if summary["database_version"] is None else summary["database_version"]
    head = {
        "completed": "Synced",
        "up_to_date": "Up to date with",
        "dry_run": "Would sync",
    }[summary["status"]]
    lines = [
        f"{head} {summary['source']} ({version}): {summary['n_total']} entries, {summary['n_new']} new, "
        f"{summary['n_changed']} changed, {summary['n_unchanged']} unchanged, "
        f"{summary['n_vanished']} vanished."
    ]
    if summary["n_quarantined"]:
        lines.append(f"{summary['n_quarantined']} cannot be used; the table failures says why.")
    kinds = ("new", "changed", "vanished")
    lines += [f"  {kind}: {listed(summary[kind])}" for kind in kinds if summary[kind]]
    if summary["not_found"]:
        lines.append(told_of_missing(summary["not_found"]))
    lines += [f"{message}." for message in summary["left_out"]]
    lines.append(f"Cite: {summary['citation']}")
    unsaid = [doi for doi in summary["dois"] if doi not in summary["citation"]]
    if unsaid:
        lines.append(f"      {', '.join(f'https://doi.org/{doi}' for doi in unsaid)}")
    if summary["licence"] not in summary["citation"]:
        lines.append(f"Licence: {summary['licence']}")
    if summary["status"] != "dry_run":
        lines.append(f"Stored for {summary['database']}; next: lihop screen --source {summary['source']}")
    return "\n".join(lines)
