"""A material's card: its sites, its hops with barriers and intervals, and how its ions percolate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from storage import queries

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]


def card(database: str | Path, row: Record) -> Record:
    """Collect everything known of one material.

    Parameters
    ----------
    database : str or Path
        The published database.
    row : dict
        The material's row of the view `rankings`.

    Returns
    -------
    dict
        ``material`` (that row), ``sites``, ``hops``, ``percolation`` and ``failures``, ready for JSON.
    """
    digest, ion = row["structure_hash"], row["working_ion"]
    percolation = queries.percolation_of(database, digest, ion)
    known = queries.failures(database)
    return {
        "material": row,
        "sites": sites(queries.structure_of(database, digest), ion),
        "hops": queries.hops_of(database, digest, ion),
        "percolation": percolation[0] if percolation else None,
        "failures": [failure for failure in known if failure["structure_hash"] == digest],
    }


def sites(structure_json: str | None, working_ion: str) -> list[Record]:
    """Return index, element and fractional coordinates of the working ion's sites."""
    if structure_json is None:
        return []
    found = []
    for index, site in enumerate(json.loads(structure_json)["sites"]):
        element = site["species"][0]["element"]
        if element == working_ion:
            a, b, c = site["abc"]
            found.append({"index": index, "element": element, "a": a, "b": b, "c": c})
    return found


def headline(content: Record) -> list[str]:
    """Return the lines above the tables of a card."""
    row = content["material"]
    known_as = "" if row["name"] is None else f" ({row['name']})"
    lines = [
        f"{row['formula']}{known_as}  {row['material_id']}{_state(row)}",
        f"  {row['space_group_symbol'] or 'no space group'} ({row['space_group_number'] or '-'}), "
        f"{row['n_sites']} sites in the primitive cell, {number(row['capacity_mah_g'], 0)} mAh/g, "
        f"{number(row['average_voltage_v'], 2)} V",
    ]
    lines += _origin(row)
    if row["barrier_at_dim_ev"] is None:
        lines.append(f"  no percolation barrier: {row['reason']}. {row['reason_message'] or ''}".rstrip())
        return lines
    lines.append(
        f"  percolates in {row['percolation_dim']}-D along "
        f"{row['direction_conventional']} over {interval(row, 'barrier_at_dim_ev', 'lower_ev', 'upper_ev')}"
    )
    percolation = content["percolation"]
    if percolation is not None:
        for dim in (1, 2, 3):
            if percolation[f"barrier_{dim}d_ev"] is not None:
                value = interval(percolation, f"barrier_{dim}d_ev", f"lower_{dim}d_ev", f"upper_{dim}d_ev")
                lines.append(f"    {dim}-D: {value}, limited by {bottleneck(percolation, dim)}")
    if row["flags"] is not None:
        lines.append(f"  caution: {row['flags']}")
    lines.append(f"  model {row['method']} {row['model_digest'][:12]}; site energies {row['site_energies']}")
    return lines


def _state(row: Record) -> str:
    """Return the state of charge as text, where it is not the one that structures come in."""
    ion = row["working_ion"]
    return "" if row["state"] == "discharged" else f", {row['state']}: a single {ion} in the host"


def _origin(row: Record) -> list[str]:
    """Return the lines on what else a material is called, and whether it was put in order."""
    others = row["other_ids"]
    lines = [f"  also called {', '.join(others)}"] if others else []
    return lines if row["ordering"] is None else [*lines, f"  was disordered: {row['ordering']}"]


def bottleneck(percolation: Record, dim: int) -> str:
    """Return the rate-limiting hop of a dimension, and in how many of the draws it is that one."""
    edge = str(percolation[f"limiting_edge_{dim}d"])
    known = percolation["bottlenecks_json"]
    if known is None:
        return edge
    return f"{edge} (in {json.loads(known).get(str(dim), {}).get(edge, 0.0):.0%} of draws)"


def interval(row: Record, value: str, lower: str, upper: str) -> str:
    """Return a barrier with its 90% interval as text."""
    return f"{number(row[value])} eV (90%: {number(row[lower])} to {number(row[upper])})"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as text; a dash for what is unknown."""
    if value is None:
        return "-"
    # Rounded first: a value that rounds to nothing has no sign.
    return f"{round(value, digits) + 0.0:.{digits}f}"
