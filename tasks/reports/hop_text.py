"""One hop as text: what it is, its barrier, its states side by side, and what its barcodes hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tasks.reports.card import number
from tasks.reports.network_text import mechanism

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Record = dict[str, Any]

STATE_COLUMNS = {
    "state": "state", "along_ang": "along (Å)", "d_min_ang": "d_min (Å)", "d_mean_ang": "d_mean (Å)",
    "d_max_ang": "d_max (Å)", "coordination_number": "CN", "volume_ang3": "volume (Å³)",
    "bond_valence_sum": "bond valence", "energy_ev": "BVSE (eV)", "corners": "anions",
}  # fmt: skip
STATE_DIGITS = {"coordination_number": 0, "volume_ang3": 2, "bond_valence_sum": 2, "energy_ev": 2}
BAR_COLUMNS = {
    "cloud": "cloud", "atoms": "atoms", "dimension": "bars", "count": "number", "births": "births (Å)",
    "deaths": "deaths (Å)", "longest_ang": "longest", "mean_ang": "mean",
}  # fmt: skip
KINDS = {"h0": "H0 pieces", "h1": "H1 rings", "h2": "H2 cages"}


def headline(hop: Mapping[str, Any]) -> list[str]:
    """Return the lines above the tables."""
    known_as = "" if hop["name"] is None else f" ({hop['name']})"
    return [
        f"A hop of {hop['working_ion']} in {hop['formula']}{known_as}",
        f"  {hop_said(hop)}",
        f"  {barrier_said(hop)}",
        f"  {path_said(hop)}",
    ]


def hop_said(hop: Mapping[str, Any]) -> str:
    """Return which hop it is: name, length, how often, and what stands in its way."""
    parts = [str(hop["edge_id"]), f"{hop['distance_ang']:.3f} Å", f"{hop['multiplicity']} in the stored cell"]
    if hop["also_vacant"] is not None:
        parts.append(mechanism(dict(hop)))
    if hop["blocked_by"] is not None:
        parts.append(f"runs through a {hop['blocked_by'].replace('_', ' ')}")
    return ", ".join(parts)


def barrier_said(hop: Mapping[str, Any]) -> str:
    """Return the barrier with its interval and method, or that there is none."""
    barrier = hop["barrier"]
    if barrier["barrier_ev"] is None:
        return "no barrier is known"
    parts = [f"barrier {number(barrier['barrier_ev'])} eV"]
    if barrier["lower_ev"] is not None:
        parts.append(f"(90%: {number(barrier['lower_ev'])} to {number(barrier['upper_ev'])})")
    parts.append(f"by {barrier['method']}")
    if barrier["model_digest"] is not None:
        parts.append(barrier["model_digest"][:12])
    said = " ".join(parts)
    if barrier["in_domain"] is False:
        said += ", outside the training domain"
    return f"{said}, unconverged" if barrier["converged"] is False else said


def path_said(hop: Mapping[str, Any]) -> str:
    """Return how the path was found, and what to think of it."""
    path = hop["path"]
    length = f"{path['length_ang']:.3f} Å"
    if path["kind"] == "straight":
        missing = path["missing_parameters"]
        because = f", since there are no bond-valence parameters for {', '.join(missing)}" if missing else ""
        return f"straight path of {length}{because}"
    said = f"path of {length} relaxed under the bond-valence site energy"
    if path["kind"] == "bvse_fixed_ends":
        said += " between fixed ends"
    return f"{said}, unconverged" if path["converged"] is False else said


def state_rows(hop: Mapping[str, Any]) -> list[Record]:
    """Return a row a state."""
    return [
        {
            "state": name,
            **{key: _known(value) for key, value in state.items()},
            "corners": corners(state["anions"]),
        }
        for name, state in hop["states"].items()
    ]


def corners(anions: Sequence[Mapping[str, Any]]) -> str:
    """Return corners as ``O 2.05 2.05 2.11, F 2.20``: by element, nearest first."""
    found: dict[str, list[str]] = {}
    for anion in anions:
        found.setdefault(anion["element"], []).append(f"{anion['distance_ang']:.2f}")
    return ", ".join(f"{element} {' '.join(values)}" for element, values in found.items())


def bar_rows(hop: Mapping[str, Any]) -> list[Record]:
    """Return a row a cloud and dimension."""
    rows = []
    for cloud, bars in hop["bars"].items():
        for dimension, kind in KINDS.items():
            if dimension not in bars:
                continue
            found = bars[dimension]
            lengths = [death - birth for birth, death in found]
            first = dimension == "h0"
            rows.append(
                {
                    "cloud": cloud.replace("_ion", " + ion") if first else "",
                    "atoms": ", ".join(f"{n} {name}" for name, n in bars["elements"].items())
                    if first
                    else "",
                    "dimension": kind,
                    "count": len(found),
                    "births": _range([birth for birth, _ in found]),
                    "deaths": _range([death for _, death in found]),
                    "longest_ang": max(lengths, default=None),
                    "mean_ang": sum(lengths) / len(lengths) if lengths else None,
                }
            )
    return rows


def _range(values: Sequence[float]) -> str:
    """Return least and greatest as text; a dash for none."""
    if not values:
        return "-"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _known(value: object) -> object:
    """Return a number, or None in the place of one that does not exist."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
