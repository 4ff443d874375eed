"""`lihop show ID --hop EDGE`: one hop as text, as JSON, and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

LISTED = 6
"""Hops that an error names."""


def show_hop(
    database: str, rows: Sequence[dict[str, Any]], hop: str, *, as_json: bool, svg: str | None
) -> None:
    """Print one hop of a material, and draw it into a file.

    Parameters
    ----------
    database : str
        The published database.
    rows : sequence of dict
        Rows of the view `rankings` that the user may mean.
    hop : str
        What the user called the hop: its edge_id, that without the material, or its number in the network.
    as_json : bool
        Print JSON.
    svg : str or None
        File to draw into.

    Raises
    ------
    UsageError
        When there is no such hop, several fit, or it cannot be shown or drawn.
    """
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import hop_figure, save
    from tasks.reports.hop_facts import hop_facts

    row, number, found = find_hop(database, rows, hop)
    try:
        content = hop_facts(database, row, found, number)
        if svg is not None:
            save(hop_figure(content), Path(svg))
    except FigureError as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(content)
        return
    _print(content)
    if svg is not None:
        print(f"Wrote {svg}.")


def find_hop(
    database: str, rows: Sequence[dict[str, Any]], hop: str
) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """Return the material, the number in its network and the stored row of the hop that a user means.

    Raises
    ------
    UsageError
        When no hop is called that, or one of several materials; says what there is.
    """
    from storage import queries

    known = [
        (row, number, found)
        for row in rows
        for number, found in enumerate(
            queries.network_of(database, row["structure_hash"], row["working_ion"]), 1
        )
    ]
    for names in (_full_name, _short_names):
        fitting = [entry for entry in known if hop.strip() in names(*entry)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            several = ", ".join(found["edge_id"] for _, _, found in fitting[:LISTED])
            raise UsageError(f"--hop {hop}: {len(fitting)} hops fit ({several}); give the whole edge_id")
    material = rows[0]["material_id"]
    if not known:
        raise UsageError(f"--hop {hop}: no hop of {material} is stored; `lihop failures` may say why")
    there = ", ".join(f"{number}: {found['edge_id']}" for _, number, found in known[:LISTED])
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    raise UsageError(
        f"--hop {hop}: {material} has no such hop; give the number or the edge_id of one of those there are "
        f"({there}{more}), which `lihop show {material}` and `lihop show {material} --network` print"
    )


def _full_name(_row: dict[str, Any], _number: int, found: dict[str, Any]) -> set[str]:
    return {found["edge_id"]}


def _short_names(row: dict[str, Any], number: int, found: dict[str, Any]) -> set[str]:
    """Return what else a hop may be called: its number, and its edge_id without the material."""
    return {
        str(number),
        found["edge_id"].removeprefix(f"{found['material_id']}_"),
        found["edge_id"].removeprefix(f"{row['material_id']}_"),
    }


def _print(hop: dict[str, Any]) -> None:
    """Print a hop as tables."""
    from tasks.reports import hop_text as text

    print("\n".join(text.headline(hop)))
    states = text.state_rows(hop)
    columns = dict(text.STATE_COLUMNS)
    if all(row["energy_ev"] is None for row in states):
        del columns["energy_ev"]
    print_table(states, columns, title="States", digits=text.STATE_DIGITS, whole={"state"})
    print_table(
        text.bar_rows(hop),
        text.BAR_COLUMNS,
        title="Persistence of the atoms near the path, and with the ion at the transition state",
        digits={"longest_ang": 2, "mean_ang": 2},
        whole={"cloud", "dimension", "births", "deaths"},
    )
