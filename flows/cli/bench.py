"""`lihop bench`: how fast lihop is beside its peers and limits, and whether they find the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.bench.measure import BenchError, BenchSettings
from flows.bench.registry import BENCHES, check_name, run_bench, usual
from flows.cli.errors import UsageError
from flows.cli.output import console, print_json, print_table
from flows.settings import resolve

if TYPE_CHECKING:
    from flows.bench.measure import BenchResult

COLUMNS = {
    "bench": "bench",
    "cases": "cases",
    "unit": "unit",
    "ours": "lihop",
    "peer": "beside",
    "median": "its median",
    "ratio": "its time / ours",
    "counts_equal": "same counts",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    name: Annotated[
        str | None, typer.Argument(help=f"One of {', '.join(BENCHES)}; all of them when left out.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most structures to measure on.")] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Timed rounds after the warm-up; 3, of orchestration 5.")
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, help="Size of generated data; 1 is modest.")] = 1.0,
    model: Annotated[str | None, typer.Option(help="Name of a shipped checkpoint, or a folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure speed beside peers in one process, by turns, and compare what they count."""
    settings = BenchSettings(limit=limit, scale=scale, model=resolve({"model": model}).model)
    try:
        if name is not None:
            check_name(name)
        found = []
        for one in BENCHES if name is None else (name,):
            found.append(run_bench(one, usual(one, settings, repeats, brief=name is None)))
            if not as_json:
                show(found[-1])
    except BenchError as error:
        raise UsageError(str(error)) from error
    if as_json:
        results = [result.as_dict() for result in found]
        print_json(results if name is None else results[0])


def show(result: BenchResult) -> None:
    """Print what one bench found: a row a peer, then its further figures and its notes."""
    print_table(table_rows(result), COLUMNS, title=f"{result.name}: {BENCHES[result.name]}")
    for key, value in result.details.items():
        console().print(f"  {key}: {_text(value)}", markup=False, highlight=False)
    for note in result.notes:
        console().print(f"  {note}", markup=False, highlight=False)
    console().print()


def table_rows(result: BenchResult) -> list[dict[str, Any]]:
    """Return a row a peer."""
    return [
        {
            "bench": result.name,
            "cases": result.cases,
            "unit": result.unit,
            "ours": result.ours_median,
            "peer": peer,
            "median": found.median,
            "ratio": found.ratio,
            "counts_equal": result.counts_equal,
        }
        for peer, found in result.peers.items()
    ]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_text(entry) for entry in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
