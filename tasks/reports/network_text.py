"""A hop network as text: its sites, its hops on a ladder of barriers, and what each level opens."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tasks.reports.card import interval, number

if TYPE_CHECKING:
    from collections.abc import Sequence

Record = dict[str, Any]

SITE_COLUMNS = {
    "sites": "sites", "kind": "kind", "a": "a", "b": "b", "c": "c", "in_cell": "in cell",
    "hops": "neighbours",
}  # fmt: skip
HOP_COLUMNS = {
    "mark": "", "number": "hop", "ends": "between", "distance_ang": "Å", "multiplicity": "in cell",
    "barrier_ev": "eV", "lower_ev": "90% from", "upper_ev": "to", "ladder": "barrier", "opens": "opens",
    "symmetric": "sym.", "mechanism": "mechanism", "path": "path", "blocked_by": "blocked by",
}  # fmt: skip
LEVEL_COLUMNS = {
    "mark": "", "dims": "opens", "along": "along", "barrier_ev": "eV", "lower_ev": "90% from",
    "upper_ev": "to", "hop": "hop", "edge_id": "rate-limiting hop",
}  # fmt: skip

MARK = "\N{BLACK RIGHT-POINTING POINTER}"
LADDER = 20
"""Characters of the highest barrier's bar."""

BLOCKS = " ▏▎▍▌▋▊▉"
"""Eighths of a character, from none on."""

SHOWN_SITES = 6
"""Sites of one kind that are named."""


def headline(network: Record) -> list[str]:
    """Return the lines above the tables: what the material is, how large its network, how it percolates."""
    known_as = "" if network["name"] is None else f" ({network['name']})"
    hops, nodes = network["hops"], network["nodes"]
    classes = len({node["class"] for node in nodes})
    lines = [
        f"{network['formula']}{known_as}  {network['material_id']}",
        f"  hop network of {network['working_ion']}: {len(nodes)} sites ({classes} distinct), "
        f"{len(hops)} distinct hops, {len(network['edges'])} in the cell",
    ]
    if network["barrier_at_dim_ev"] is None:
        lines.append(f"  does not percolate: {network['reason']}")
        return lines
    dim = network["percolation_dim"]
    along = next(
        (level["direction_conventional"] for level in network["levels"] if level["dim"] == dim), None
    )
    where = "in all directions" if along == "isotropic" else f"along {along}"
    lines.append(
        f"  percolates in {dim}-D {where} over "
        f"{interval(network, 'barrier_at_dim_ev', 'lower_ev', 'upper_ev')}; {MARK} the rate-limiting hop"
    )
    if classes > 1 and network["site_energy_difference_ev"] is not None:
        part = "which levels count" if network["site_energies"] != "unknown" else "no part of the barriers"
        lines.append(
            f"  its sites differ by {number(network['site_energy_difference_ev'])} eV (bond-valence site "
            f"energy, {part})"
        )
    return lines


def site_rows(network: Record) -> list[Record]:
    """Return a row for each kind of equivalent sites."""
    rows = []
    kinds = dict.fromkeys(node["class"] for node in network["nodes"])
    for kind in kinds:
        members = [node for node in network["nodes"] if node["class"] == kind]
        first = members[0]
        # Rounded, so that no coordinate reads -0.000.
        a, b, c = (None,) * 3 if first["frac"] is None else (round(x, 6) + 0.0 for x in first["frac"])
        named = " ".join(str(node["index"]) for node in members[:SHOWN_SITES])
        leaving = ", ".join(f"{count} by hop {hop}" for hop, count in first["hops"].items())
        rows.append(
            {
                "sites": named + (" ..." if len(members) > SHOWN_SITES else ""),
                "kind": first["element"] or "empty",
                "a": a,
                "b": b,
                "c": c,
                "in_cell": len(members),
                "hops": leaving or "none",
            }
        )
    return rows


def hop_rows(network: Record) -> list[Record]:
    """Return a row for each distinct hop, the lowest barrier first and those without a barrier last."""
    known = [hop["barrier_ev"] for hop in network["hops"] if hop["barrier_ev"] is not None]
    highest = max(known, default=0.0)
    return [
        hop
        | {
            "mark": MARK if hop["rate_limiting"] else "",
            "ends": ends(hop, network),
            "ladder": bar(hop["barrier_ev"], highest),
            "opens": opens(hop["number"], network["levels"]),
            "symmetric": hop["direction_symmetric"],
            "mechanism": mechanism(hop),
            "path": path(hop),
        }
        for hop in sorted(network["hops"], key=_by_barrier)
    ]


def level_rows(network: Record) -> list[Record]:
    """Return a row for each level at which a dimension, or several at once, opens."""
    rows = []
    for dims, level in merged(network["levels"]):
        limits = network["percolation_dim"] in dims
        rows.append(level | {"mark": MARK if limits else "", "dims": said(dims), "along": _along(level)})
    return rows


def merged(levels: Sequence[Record]) -> list[tuple[list[int], Record]]:
    """Return the levels, those that one hop opens at once together, with their dimensions."""
    together: list[tuple[list[int], Record]] = []
    for level in levels:
        if together and together[-1][1]["hop"] == level["hop"]:
            together[-1] = ([*together[-1][0], level["dim"]], level)
        else:
            together.append(([level["dim"]], level))
    return together


def opens(hop: int, levels: Sequence[Record]) -> str:
    """Return what a hop opens and along what, as ``1-D and 2-D (001)``; nothing where it opens none."""
    return ", ".join(
        f"{said(dims)} {_along(level)}".strip() for dims, level in merged(levels) if level["hop"] == hop
    )


def said(dims: Sequence[int]) -> str:
    """Return dimensions as ``1-D, 2-D and 3-D``."""
    names = [f"{dim}-D" for dim in dims]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def ends(hop: Record, network: Record) -> str:
    """Return the ends of a hop as ``Li0 Li2[0 1 0]``; an empty site has no symbol."""
    symbols = {node["index"]: node["element"] or "empty " for node in network["nodes"]}
    i, j = hop["i"], hop["j"]
    return f"{symbols.get(i, '')}{i} {symbols.get(j, '')}{j}{_cell(hop['image'])}"


def mechanism(hop: Record) -> str:
    """Return the mechanism, and which site is vacant too."""
    if hop["also_vacant"] is None:
        return str(hop["mechanism"])
    site, *image = hop["also_vacant"]
    return f"{hop['mechanism']}, {site}{_cell(image)} vacant too"


def path(hop: Record) -> str:
    """Return what kind of path was described, and whether it converged; one with fixed ends had collapsed."""
    kind = hop["path_kind"].replace("_", ", ", 1).replace("_", " ")
    flags = {False: ", unconverged", True: "", None: ""}[hop["path_converged"]]
    collapsed = ", collapsed" if hop["collapsed"] and "fixed" not in kind else ""
    return f"{kind}{flags}{collapsed}"


def bar(barrier_ev: float | None, highest_ev: float) -> str:
    """Return a bar as long as a barrier is high; nothing for an unknown one."""
    if barrier_ev is None or highest_ev <= 0.0:
        return ""
    whole, eighth = divmod(max(1, round(8 * LADDER * barrier_ev / highest_ev)), 8)
    return "█" * whole + BLOCKS[eighth].strip()


def kinds_of_block(network: Record) -> str:
    """Return how many hops are blocked by what, as text; nothing where none is."""
    blocked = Counter(hop["blocked_by"] for hop in network["hops"] if hop["blocked_by"] is not None)
    return ", ".join(f"{count} by a {kind.replace('_', ' ')}" for kind, count in sorted(blocked.items()))


def _cell(image: Sequence[int]) -> str:
    return f"[{' '.join(map(str, image))}]" if any(image) else ""


def _along(level: Record) -> str:
    return str(level["direction_conventional"] or "")


def _by_barrier(hop: Record) -> tuple[bool, float, int]:
    barrier_ev = hop["barrier_ev"]
    return barrier_ev is None, 0.0 if barrier_ev is None else barrier_ev, hop["number"]
