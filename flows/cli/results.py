"""`lihop rank`, `show`, `sql` and `failures`: what the database holds."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.answering import Format, answer
from flows.cli.errors import UsageError
from flows.cli.figures import write_ranking
from flows.cli.hop_picture import show_hop
from flows.cli.network import refuse_files, show_networks
from flows.cli.output import console, print_json, print_table
from flows.cli.why import refuse_with_why, show_why
from flows.settings import resolve
from storage import queries
from storage.queries import Record
from storage.records import Reason, Stage

Database = Annotated[
    str | None,
    typer.Option("--database", "--db", help="DuckDB file to read [lihop.duckdb].", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RANK_COLUMNS = {
    "rank": "#",
    "material_id": "material",
    "formula": "formula",
    "state": "state",
    "percolation_dim": "dim",
    "direction_conventional": "along",
    "barrier_at_dim_ev": "eV",
    "lower_ev": "90% from",
    "upper_ev": "to",
    "barrier_1d_ev": "1-D",
    "barrier_2d_ev": "2-D",
    "barrier_3d_ev": "3-D",
    "in_domain": "domain",
    "capacity_mah_g": "mAh/g",
    "reason": "no barrier because",
}
RANK_TITLE = "Barriers in eV: where the ions percolate with its 90% interval, and in 1, 2 and 3 dimensions"
WIDE = 130
WIDE_ONLY = {"barrier_1d_ev", "barrier_2d_ev", "barrier_3d_ev", "in_domain", "capacity_mah_g"}
"""Columns that a terminal of fewer than so many characters leaves out."""
HOP_COLUMNS = {
    "edge_id": "hop",
    "distance_ang": "length (Å)",
    "multiplicity": "in cell",
    "direction_symmetric": "symmetric",
    "d_min_ang": "d_min (Å)",
    "barrier_ev": "barrier (eV)",
    "lower_ev": "90% from",
    "upper_ev": "to",
    "in_domain": "in domain",
    "blocked_by": "blocked by",
}
SITE_COLUMNS = {"index": "site", "element": "ion", "a": "a", "b": "b", "c": "c"}
FAILURE_COLUMNS = {"material_id": "material", "stage": "stage", "reason": "reason", "message": "message"}

NEXT_STEPS = """
What to do next (the commands are in .venv/bin; `. .venv/bin/activate` puts them on the path)
  one material     lihop show LiFePO4
  ask in SQL       lihop sql "SELECT formula, barrier_at_dim_ev, capacity_mah_g FROM rankings
                              WHERE percolation_dim >= 2 AND in_domain ORDER BY barrier_at_dim_ev LIMIT 10"
  or in Python     duckdb.connect("{database}", read_only=True).sql("FROM rankings")
  tables           lihop sql --schema
  what failed      lihop failures
  your own files   lihop screen --source files --path FOLDER    (CIF, POSCAR, extxyz, pymatgen JSON)
  past runs        prefect server start, then open http://127.0.0.1:4200/runs
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (rank, show, sql, failures):
        app.command(command.__name__)(command)


def _database(given: str | None) -> str:
    return resolve({"database": given}).database


def rank(
    by: Annotated[str, typer.Option(help="Column of the view rankings to order by.")] = "barrier_at_dim_ev",
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Most rows.")] = None,
    hints: Annotated[bool, typer.Option("--hints", help="Say what to do next.")] = False,
    figure: Annotated[str | None, typer.Option(help="Draw these rows: NAME.svg or NAME.png.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print the materials, the one with the lowest percolation barrier first."""
    path = _database(database)
    rows = queries.rankings(path, by=by, ascending=not descending, limit=limit)
    if figure is not None:
        write_ranking(figure, rows)
    if as_json:
        print_json(rows)
        return
    hidden = set() if console().width >= WIDE else WIDE_ONLY
    if all(row["state"] == "discharged" for row in rows):
        hidden = hidden | {"state"}
    columns = {key: text for key, text in RANK_COLUMNS.items() if key not in hidden}
    print_table(
        rows, columns, title=RANK_TITLE, digits={"capacity_mah_g": 0}, whole={"material_id", "formula"}
    )
    if figure is not None:
        print(f"Wrote {figure}.")
    if hints:
        print(NEXT_STEPS.format(database=path))


def show(
    material: Annotated[str, typer.Argument(help="Identifier, formula or name.")],
    network: Annotated[bool, typer.Option("--network", help="Print its hop network instead.")] = False,
    hop: Annotated[
        str | None, typer.Option(help="Print one hop instead: its edge_id, or its number in the network.")
    ] = None,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Print what moves the predicted barrier of --hop, or of the rate-limiting one."
        ),
    ] = False,
    svg: Annotated[
        str | None, typer.Option(help="Draw the network or the hop: NAME.svg or NAME.png.")
    ] = None,
    export: Annotated[
        str | None, typer.Option(help="Write the network, all equivalent hops: NAME.json or NAME.extxyz.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="State of charge, discharged or charged. Left out, cards are of both, and all else is of "
            "the discharged one."
        ),
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print a material's card: sites, hops with lengths, barriers and intervals, percolation."""
    from tasks.reports.card import card, headline

    if why:
        refuse_with_why(network=network, svg=svg, export=export)
    refuse_files(network=network, hop=hop, svg=svg, export=export)
    path = _database(database)
    rows = queries.material(path, material)
    if not rows:
        raise UsageError(
            f"no material is called {material!r} in {path}; `lihop rank` lists those there are, by identifier"
        )
    rows = _in_state(rows, state, several=not (why or network or hop is not None))
    if why:
        show_why(path, rows, hop, model=resolve({}).model, as_json=as_json)
        return
    if network:
        show_networks(path, rows, as_json=as_json, svg=svg, export=export)
        return
    if hop is not None:
        show_hop(path, rows, hop, as_json=as_json, svg=svg)
        return
    cards = [card(path, row) for row in rows]
    if as_json:
        print_json(cards[0] if len(cards) == 1 else cards)
        return
    for content in cards:
        print("\n".join(headline(content)))
        print_table(content["sites"], SITE_COLUMNS, title="Sites of the working ion")
        if content["hops"]:
            print_table(content["hops"], HOP_COLUMNS, title="Symmetry-distinct hops")
        if content["failures"]:
            print_table(content["failures"], FAILURE_COLUMNS, title="Failures")


def _in_state(rows: list[Record], state: str | None, *, several: bool) -> list[Record]:
    """Return the rows of one state of charge, or of all where none was asked for and several can be shown.

    Raises
    ------
    UsageError
        When there is no such state, or none of the rows is of it.
    """
    there = sorted({row["state"] for row in rows})
    if state is None and (several or len(there) == 1):
        return rows
    wanted = "discharged" if state is None else state
    if wanted not in there:
        raise UsageError(
            f"--state {wanted}: {rows[0]['material_id']} was screened {' and '.join(there)}; name one of "
            "these, or screen it in that state first"
        )
    return [row for row in rows if row["state"] == wanted]


def sql(
    statement: Annotated[str | None, typer.Argument(help="One reading SQL statement.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print tables, views, columns and units.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="With --schema: print docs/schema.md, which is made from this.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 1000,
    time_limit: Annotated[float, typer.Option(min=0.01, help="Longest that it may take, in seconds.")] = 60.0,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="[table, or what --output ends with]", show_default=False),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Write the rows to NAME.csv, NAME.json or NAME.parquet.")
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Ask the database in SQL. It can be read only, and no other file can."""
    if schema or as_markdown:
        _print_schema(statement, schema=schema, as_json=as_json, as_markdown=as_markdown)
        return
    path = _database(database)
    if statement is None:
        raise UsageError(
            'no statement was given; try: lihop sql "FROM rankings LIMIT 5", or lihop sql --schema'
        )
    answer(
        path,
        statement,
        limit=limit,
        time_limit_s=time_limit,
        file_format=file_format,
        output=output,
        as_json=as_json,
    )


def _print_schema(statement: str | None, *, schema: bool, as_json: bool, as_markdown: bool) -> None:
    """Print the schema that ships with this lihop, which a database is read in whatever its age."""
    from storage.catalog import schema_page, schema_records, schema_text

    if not schema:
        raise UsageError("--markdown goes with --schema")
    if statement is not None:
        raise UsageError("a statement and --schema were both given: choose one")
    if as_json and as_markdown:
        raise UsageError("--json and --markdown were both given: choose one")
    if as_json:
        print_json(schema_records())
    elif as_markdown:
        print(schema_page(), end="")
    else:
        print(schema_text())


def failures(
    reason: Annotated[Reason | None, typer.Option(help="Only this reason.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Only this stage.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run, by identifier, or latest.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most rows.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Print what has no result, and why. `lihop screen --retry REASON` computes it again."""
    path = _database(database)
    known = [row["run_id"] for row in queries.runs(path)]
    if run is not None and run not in {"latest", *known}:
        raise UsageError(f"--run {run}: there is no such run in {path}; there are latest, {', '.join(known)}")
    rows = queries.failures(path, reason=reason, stage=stage, run=run, limit=limit)
    print_json(rows) if as_json else print_table(rows, FAILURE_COLUMNS)
