"""`lihop export`: whole tables and views, structures and hop paths as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.answering import write_file
from flows.cli.errors import UsageError
from flows.cli.output import print_json
from flows.cli.results import Database, Json
from flows.settings import resolve

STRUCTURES = "structures"
PATHS = "paths"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    what: Annotated[
        str,
        typer.Argument(
            help="A table or view, such as rankings, hops, predictions, percolation, candidates or failures; "
            "or structures; or paths."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            help="Of a table NAME.csv, NAME.json or NAME.parquet; of structures NAME.extxyz, NAME.cif or a "
            "folder for a CIF each; of paths NAME.extxyz or a folder in the layout of nebDFT2k.",
            show_default=False,
        ),
    ],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="Of a table: csv, json or parquet [what --output ends with].", show_default=False
        ),
    ] = None,
    material: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this material's structures or paths: identifier, formula or name; repeatable."
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Only the structures or paths of so many, lowest barrier first.")
    ] = None,
    centroids: Annotated[
        bool,
        typer.Option("--centroids", help="Of paths a frame a hop as in nebBVSE122k, with X halfway along."),
    ] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Write a whole table, structures or hop paths to a file, a part at a time."""
    path = resolve({"database": database}).database
    if centroids and what != PATHS:
        raise UsageError(f"--centroids is of paths, and {what} were asked for: leave it out")
    if what in {STRUCTURES, PATHS}:
        if file_format is not None:
            raise UsageError(f"--format {file_format} is of tables: {what} go by what --output ends with")
        _write_crystals(
            path, what, output, material=material or [], top=top, centroids=centroids, as_json=as_json
        )
        return
    if material or top is not None:
        given = "--top" if top is not None else "--material"
        raise UsageError(
            f"{given} is of structures and paths, and {what} is written whole; for a part of it: "
            f'lihop sql "FROM {what} WHERE ..." --output {output}'
        )
    write_file(path, _whole(path, what), output, file_format, as_json=as_json)


def _whole(database: str, relation: str) -> str:
    from storage.database import reading
    from storage.errors import QueryError
    from storage.streams import relations, whole

    with reading(database) as connection:
        try:
            return whole(connection, relation)
        except QueryError as error:
            names = ", ".join(relations(connection))
            raise UsageError(
                f"{relation!r} cannot be exported; allowed are {STRUCTURES}, {PATHS}, and the tables and "
                f"views {names}"
            ) from error


def _write_crystals(
    database: str,
    what: str,
    output: str,
    *,
    material: list[str],
    top: int | None,
    centroids: bool,
    as_json: bool,
) -> None:
    """Write structures or paths, and print how many."""
    from storage.database import reading
    from storage.exports.materials import selected, with_structures
    from storage.exports.paths import write_paths
    from storage.exports.places import refuse_database
    from storage.exports.structures import write_structures

    target = Path(output)
    refuse_database(target, database)
    with reading(database) as connection:
        rows = selected(connection, material, top)
        if what == PATHS:
            n_written = write_paths(connection, rows, target, centroids=centroids)
        else:
            n_written = write_structures(with_structures(connection, rows), target)
    if as_json:
        print_json({"output": output, "what": what, "materials": len(rows), "written": n_written})
        return
    one, several = ("structure", "structures") if what == STRUCTURES else ("hop path", "hop paths")
    print(f"Wrote {n_written} {one if n_written == 1 else several} to {output}.")
