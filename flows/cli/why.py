"""`lihop show ID --why`: which descriptors move the predicted barrier of one hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.cli.errors import UsageError
from flows.cli.hop_picture import find_hop
from flows.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = 12
"""Single descriptors that are printed; JSON has them all."""

ROUNDING = 1e-6
LEAST_PERCENTILE, MOST_PERCENTILE = 2.0, 98.0
"""Beyond these a value is said to lie below or above nearly all training hops."""

GROUP_COLUMNS = {"name": "group", "n_keys": "descriptors", "change": "moves the barrier by (eV)"}
FAMILY_COLUMNS = {"name": "family", "n_keys": "descriptors", "change": "moves the barrier by (eV)"}
KEY_COLUMNS = {
    "name": "descriptor",
    "shown": "value",
    "unit": "unit",
    "lies": "of training values below",
    "change": "moves the barrier by (eV)",
    "meaning": "meaning",
}


def refuse_with_why(*, network: bool, svg: str | None, export: str | None) -> None:
    """Refuse what --why neither prints nor writes.

    Raises
    ------
    UsageError
        With the flag.
    """
    given = {"--network": network, "--svg": svg is not None, "--export": export is not None}
    for flag, was_given in given.items():
        if was_given:
            raise UsageError(f"{flag} and --why were both given: --why prints text or JSON of one hop alone")


def show_why(
    database: str, rows: Sequence[dict[str, Any]], hop: str | None, *, model: str, as_json: bool
) -> None:
    """Print why one hop of a material has its barrier.

    Parameters
    ----------
    database : str
        The published database.
    rows : sequence of dict
        Rows of the view `rankings` that the user may mean.
    hop : str or None
        What the user called the hop; None for the rate-limiting one.
    model : str
        The checkpoint to look for first.
    as_json : bool
        Print JSON.

    Raises
    ------
    UsageError
        When there is no such hop, several fit, or it cannot be explained.
    """
    from flows.explanation import why_barrier
    from tasks.reports.errors import FigureError

    row, number, found = find_hop(database, rows, _limiting(database, rows) if hop is None else hop)
    try:
        content = why_barrier(database, row, found, number, model=model)
    except FigureError as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(content)
        return
    _print(content)


def _limiting(database: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the name of the rate-limiting hop of the one material that is meant."""
    from flows.explanation import limiting_hop

    names = ", ".join(row["material_id"] for row in rows)
    if len(rows) > 1:
        raise UsageError(f"{len(rows)} materials fit ({names}): name one by identifier, or give --hop too")
    edge = limiting_hop(database, rows[0])
    if edge is None:
        raise UsageError(f"{names} does not percolate, so no hop limits it: name one with --hop")
    return edge


def _print(content: dict[str, Any]) -> None:
    """Print an explanation as tables."""
    print("\n".join(_headline(content)))
    by_kind = {
        what: [row for row in content["rows"] if row["what"] == what] for what in ("group", "family", "key")
    }
    print_table([_shown(row) for row in by_kind["group"]], GROUP_COLUMNS, title="Groups of descriptors")
    print_table([_shown(row) for row in by_kind["family"]], FAMILY_COLUMNS, title="Families of descriptors")
    keys = [_shown(row) for row in by_kind["key"][:TOP]]
    print_table(keys, KEY_COLUMNS, title=f"Single descriptors, the first {len(keys)}", whole={"name"})
    print(
        "How to read it: each in turn is set to the mean of the training hops, and the barrier predicted\n"
        "again. Above zero, that it is as it is raises the barrier. Descriptors share what they say, so\n"
        "changes do not add up. Of a quantity along the path the least value is given. All this is what the\n"
        "model goes by, which need not be what nature does."
    )


def _headline(content: dict[str, Any]) -> list[str]:
    limiting = ", rate-limiting" if content["rate_limiting"] else ""
    stored, model = content["stored"], content["model"]
    lines = [
        f"Why {content['barrier_ev']:.3f} eV? A hop of {content['working_ion']} in {content['formula']}",
        f"  {content['edge_id']}, {content['distance_ang']:.3f} Å{limiting}",
        f"  90% interval {content['lower_ev']:.3f} to {content['upper_ev']:.3f} eV; {_domain(content)}",
        f"  model {model['name']} {model['digest'][:12]}",
    ]
    if not model["same"]:
        lines.append(
            f"  Beware: another model, {stored['model_digest'][:12]}, made the stored prediction of "
            f"{stored['barrier_ev']:.3f} eV,"
        )
        lines.append(
            "  and it is not at hand: name its folder by LIHOP_MODEL, or screen again with this one."
        )
    elif not content["agrees"]:
        lines.append(
            f"  Beware: the stored prediction is {stored['barrier_ev']:.3f} eV; descriptors taken again from"
        )
        lines.append("  the stored path, which is rounded, are not quite those that it was made from.")
    return lines


def _domain(content: dict[str, Any]) -> str:
    where = "inside" if content["in_domain"] else "OUTSIDE"
    said = f"{where} the training domain (distance {content['domain_distance']:.2f}, its edge is 1)"
    return said if content["in_domain"] else f"{said}: trust neither barrier nor reasons"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as people read it."""
    found = {**row, "change": f"{row['change_ev']:+.3f}"}
    if row["what"] == "key":
        share = row["percentile"]
        found["shown"] = "does not exist" if row["value"] is None else _digits(row["value"])
        found["lies"] = "-" if share is None else _lies(share)
        found["unit"] = "" if row["unit"] == "1" else row["unit"]
    return found


def _digits(value: float) -> str:
    # What is 0 by symmetry comes out as a rounding error.
    return "0" if abs(value) < ROUNDING else f"{value:.4g}"


def _lies(percentile: float) -> str:
    if percentile < LEAST_PERCENTILE:
        return f"less than {LEAST_PERCENTILE:.0f}%"
    if percentile > MOST_PERCENTILE:
        return f"more than {MOST_PERCENTILE:.0f}%"
    return f"{percentile:.0f}%"
