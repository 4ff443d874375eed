"""`lihop screen`: from a source to ranked barriers."""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import INTERRUPTED, NothingUsableError, UsageError
from flows.cli.output import print_json
from flows.cli.query_flags import max_sites_of, query_of, with_query_flags
from flows.named import told_of_missing
from flows.parameters import IDLE, QUERIES, ScreenParameters
from flows.settings import resolve, screen_parameters, source_of
from storage.records import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator


SOURCES = ("reference", "files", *QUERIES)


def described(name: str) -> str:
    """Return the help of a parameter, from where the Prefect UI has it too."""
    return ScreenParameters.model_fields[name].description or name


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("screen")(with_query_flags(screen))


def screen(  # the flags of the command, one argument each
    asked: dict[str, Any],
    source: Annotated[str | None, typer.Option(help=f"{described('source')} [{', '.join(SOURCES)}]")] = None,
    path: Annotated[str | None, typer.Option(help=described("path"))] = None,
    working_ion: Annotated[str | None, typer.Option(help=described("working_ion"))] = None,
    state: Annotated[
        str | None, typer.Option(help=f"{described('state')} [discharged, charged, both]")
    ] = None,
    order_disorder: Annotated[
        bool | None, typer.Option("--order-disorder", help=described("order_disorder"))
    ] = None,
    symprec_ang: Annotated[float | None, typer.Option(help=described("symprec_ang"))] = None,
    sync: Annotated[bool | None, typer.Option("--sync/--no-sync", help=described("sync"))] = None,
    database: Annotated[str | None, typer.Option("--database", "--db", help=described("database"))] = None,
    shards: Annotated[str | None, typer.Option(help=described("shards"))] = None,
    model: Annotated[str | None, typer.Option(help=described("model"))] = None,
    limit: Annotated[int | None, typer.Option(help=described("limit"))] = None,
    max_sites: Annotated[int | None, typer.Option(help=described("max_sites"))] = None,
    max_hops: Annotated[int | None, typer.Option(help=described("max_hops"))] = None,
    cutoff_ang: Annotated[float | None, typer.Option(help=described("cutoff_ang"))] = None,
    paths: Annotated[str | None, typer.Option(help=f"{described('paths')} [bvse, straight]")] = None,
    sites: Annotated[str | None, typer.Option(help=f"{described('sites')} [occupied, bvse]")] = None,
    max_file_mb: Annotated[float | None, typer.Option(help=described("max_file_mb"))] = None,
    time_limit: Annotated[float | None, typer.Option(help=described("time_limit_s"))] = None,
    batch_size: Annotated[int | None, typer.Option(help=described("batch_size"))] = None,
    workers: Annotated[int | None, typer.Option(help=described("workers"))] = None,
    inference: Annotated[str | None, typer.Option(help=f"{described('inference')} [pool, here]")] = None,
    runner: Annotated[
        str | None, typer.Option(help=f"{described('runner')} [process, thread, dask, ray]")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help=described("scheduler"))] = None,
    retry: Annotated[
        list[Reason] | None, typer.Option(help="Compute again what failed for this reason; may be repeated.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say how many materials and hops, and how long, and stop.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with a run that was cut off: its identifier, its beginning, or latest."),
    ] = None,
    prefect: Annotated[
        bool, typer.Option("--prefect/--no-prefect", help="Run as a Prefect flow, or plainly.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Prefect's log.")] = False,
) -> None:
    """Find hops, predict barriers and percolation of candidate cathodes; nothing is computed twice."""
    flags: dict[str, Any] = {
        "source": "files" if source is None and path is not None else source,
        "path": path,
        "working_ion": working_ion,
        "state": state,
        "order_disorder": order_disorder,
        "symprec_ang": symprec_ang,
        "sync": sync,
        "database": database,
        "shards": shards,
        "model": model,
        "limit": limit,
        "max_sites": max_sites,
        "max_hops": max_hops,
        "cutoff_ang": cutoff_ang,
        "paths": paths,
        "sites": sites,
        "max_file_mb": max_file_mb,
        "time_limit_s": time_limit,
        "batch_size": batch_size,
        "workers": workers,
        "inference": inference,
        "runner": runner,
        "scheduler": scheduler,
        "retry": retry,
    }
    parameters = _going_on(resume, flags, asked) if resume is not None else _asked_for(flags, asked)
    from flows.progress import bars

    with telling_of_interrupts(), nullcontext() if as_json else bars():
        if estimate:
            from flows.estimate import estimate_screen
            from flows.resuming import resumed

            found = estimate_screen(resumed(parameters)[0])
            print_json(found.as_dict()) if as_json else print(found.text())
            return
        summary = run_flow(parameters, verbose=verbose) if prefect else run_plain(parameters)
    if as_json:
        print_json(summary)
    else:
        print(text_of(summary))
    if summary["n_with_result"] == 0:
        raise NothingUsableError(
            f"no material has a result; `lihop failures --run {summary['run_id']}` says why of each"
        )


def _asked_for(flags: dict[str, Any], asked: dict[str, Any]) -> ScreenParameters:
    """Return the parameters of a new screening: flags, then variables, then lihop.toml."""
    named, max_sites = source_of(flags), flags["max_sites"]
    query = query_of(named, asked, {"max_sites": max_sites})
    # What lihop.toml has of a query may be allowed only together with its flags.
    bound = max_sites_of(resolve(flags | ({named: query} if query else {})), named)
    query = query_of(named, asked, {"max_sites": bound if max_sites is None else max_sites})
    return screen_parameters(resolve(flags | ({named: query} if query else {})))


def _going_on(resume: str, flags: dict[str, Any], asked: dict[str, Any]) -> ScreenParameters:
    """Return the parameters of a run that is gone on with: only what decides nothing may be given anew."""
    others = [name for name, value in (flags | asked).items() if value is not None and name not in IDLE]
    if others:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise UsageError(
            f"--resume {resume} takes its settings from that run, but {named} was given; leave it out, or "
            "start a new run without --resume"
        )
    settings = resolve({name: value for name, value in flags.items() if name in IDLE})
    return ScreenParameters(resume=resume, **{name: getattr(settings, name) for name in IDLE})


@contextmanager
def telling_of_interrupts() -> Iterator[None]:
    """End the command in one line when somebody interrupts it."""
    try:
        yield
    except KeyboardInterrupt:
        print("lihop: interrupted; what was done is kept, run the same command to go on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def run_plain(parameters: ScreenParameters) -> dict[str, Any]:
    """Screen without Prefect."""
    from flows.campaign import screen as screen_plainly

    return screen_plainly(parameters).as_dict()


def run_flow(parameters: ScreenParameters, *, verbose: bool) -> dict[str, Any]:
    """Screen as a Prefect flow, on the API that is set up or on an ephemeral one."""
    from flows.prefect_environment import prepare_prefect, wake_prefect

    prepare_prefect(verbose=verbose)
    # The server is a process of its own: what the steps import loads while it starts. Prefect itself must not
    # be imported by two threads at once, which ends in a deadlock of import locks.
    importlib.import_module("prefect.client.orchestration")
    with ThreadPoolExecutor(max_workers=1) as starting:
        awake = starting.submit(wake_prefect)
        importlib.import_module("flows.campaign")
        awake.result()
    from flows.orchestration.starting import run_as_ours
    from flows.screen import screen_cathodes

    return run_as_ours(screen_cathodes, parameters)


def text_of(summary: dict[str, Any]) -> str:
    """Return what people read at the end of a screening."""
    lines = [
        f"{summary['n_candidates']} materials of {summary['n_items']} source items: "
        f"{summary['n_computed']} computed, {summary['n_reused']} known already, "
        f"{summary['n_with_result']} with a percolation result."
    ]
    if summary["failures"]:
        counts = ", ".join(f"{count} {reason}" for reason, count in summary["failures"].items())
        lines.append(f"Without a result: {counts} (`lihop failures` says why).")
    if summary["not_found"]:
        lines.append(told_of_missing(summary["not_found"]))
    if summary["citation"]:
        lines.append(f"Cite: {summary['citation']}")
    lines.append(f"Results: {summary['database']} (run {summary['run_id']}); see `lihop rank`.")
    return "\n".join(lines)
