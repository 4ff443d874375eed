"""`lihop show ID --network`: the hop network as text, as JSON, as a picture and as a file for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.errors import UsageError
from flows.cli.figures import refuse_figure
from flows.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_files(*, network: bool, hop: str | None, svg: str | None, export: str | None) -> None:
    """Refuse file names that cannot be written, before anything is read.

    Raises
    ------
    UsageError
        When a file is asked for without what it is to hold, the network and a hop are asked for at once, or
        the file's ending names no format.
    """
    from storage.errors import QueryError
    from storage.exports.network import check_network_path

    if network and hop is not None:
        raise UsageError(f"--network and --hop {hop} were given: give one of the two")
    if svg is not None and not network and hop is None:
        raise UsageError(f"--svg {svg} draws the hop network or one hop: give --network too, or --hop EDGE")
    if export is not None and not network:
        raise UsageError(f"--export {export} writes the hop network: give --network too")
    if svg is not None:
        refuse_figure(svg)
    if export is not None:
        try:
            check_network_path(Path(export))
        except QueryError as error:
            raise UsageError(str(error)) from error


def show_networks(
    database: str, rows: Sequence[dict[str, Any]], *, as_json: bool, svg: str | None, export: str | None
) -> None:
    """Print the hop networks of some materials, and write that of one to files.

    Raises
    ------
    UsageError
        When files are asked for and several materials fit, or a file cannot be written.
    """
    from tasks.reports.network import network

    if len(rows) > 1 and (svg is not None or export is not None):
        names = ", ".join(row["material_id"] for row in rows)
        raise UsageError(f"{len(rows)} materials fit and a file holds one: name it by identifier ({names})")
    networks = [network(database, row) for row in rows]
    written = _write(networks[0], svg, export)
    if as_json:
        print_json(networks[0] if len(networks) == 1 else networks)
        return
    for content in networks:
        _print(content)
    for path in written:
        print(f"Wrote {path}.")


def _write(network: dict[str, Any], svg: str | None, export: str | None) -> list[str]:
    """Write the files that are asked for and return their names."""
    from storage.errors import QueryError
    from storage.exports.network import export_network
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import network_figure, save

    try:
        if svg is not None:
            save(network_figure(network), Path(svg))
        if export is not None:
            export_network(network, Path(export))
    except (FigureError, QueryError) as error:
        raise UsageError(str(error)) from error
    return [path for path in (svg, export) if path is not None]


def _print(network: dict[str, Any]) -> None:
    """Print a network as tables."""
    from tasks.reports import network_text as text

    print("\n".join(text.headline(network)))
    print_table(text.site_rows(network), text.SITE_COLUMNS, title="Sites of the network, a row a kind")
    rows = text.hop_rows(network)
    empty = {name for name in ("blocked_by", "opens") if not any(row[name] for row in rows)}
    if all(row["mechanism"] == "isolated" for row in rows):
        empty.add("mechanism")
    columns = {name: heading for name, heading in text.HOP_COLUMNS.items() if name not in empty}
    print_table(rows, columns, title="Distinct hops, the lowest barrier first", whole={"ends", "ladder"})
    blocked = text.kinds_of_block(network)
    if blocked:
        print(f"Blocked: {blocked}; such hops carry no percolation.")
    if network["levels"]:
        print_table(
            text.level_rows(network), text.LEVEL_COLUMNS, title="Levels at which the network connects"
        )
