"""What the parts of a network's picture look like, and the legend that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reports.drawing import GREY, INK
from tasks.reports.network_scene import runs
from tasks.reports.network_text import hop_rows, merged, said
from tasks.reports.ranking_figure import short_name, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Record = dict[str, Any]

TEXT_PT = 7.5
COLOURS = "plasma_r"
DARKEST, LIGHTEST = 0.95, 0.22
"""Part of the colour map that is used: its light end does not show on white."""

WIDE_PT, THIN_PT, DOTTED_PT, HALO_PT = 3.0, 1.3, 0.9, 5.5
HOST = "#c9c9c9"
SITE = "#3fa34d"
OUTSIDE = 0.75
"""How much of the colour sites outside the cell lose to the white of the page."""

MOST_HOPS = 14
"""Distinct hops that are drawn, those of the lowest barriers; the rest are counted."""


def listed_hops(network: Mapping[str, Any]) -> list[Record]:
    """Return the hops that are drawn: those of the lowest barriers, the rate-limiting one always."""
    rows = hop_rows(dict(network))
    late = [hop for hop in rows[MOST_HOPS:] if hop["rate_limiting"]]
    return rows[: MOST_HOPS - len(late)] + late


def barrier_scale(hops: Sequence[Record]) -> Normalize:
    """Return the logarithmic scale of the barriers that are drawn in colour."""
    from matplotlib.colors import LogNorm

    known = [hop["barrier_ev"] for hop in hops if hop["barrier_ev"] is not None and hop["barrier_ev"] > 0.0]
    low, high = min(known, default=0.1), max(known, default=1.0)
    return LogNorm(low / 1.05, high * 1.05)


def barrier_colour(barrier_ev: float | None, scale: Normalize) -> NDArray[np.float64]:
    """Return the colour of a barrier, grey for an unknown one."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if barrier_ev is None or barrier_ev <= 0.0:
        return np.array(to_rgb(GREY))
    share = LIGHTEST + (DARKEST - LIGHTEST) * float(scale(barrier_ev))
    return np.array(colormaps[COLOURS](share)[:3])


def line_style(hop: Record, network: Mapping[str, Any]) -> dict[str, Any]:
    """Return width and dashes of a hop's line."""
    if hop["vacancy"]:
        return {"linewidth": THIN_PT, "linestyle": (0, (4, 1.5))}
    if not hop["carries_percolation"]:
        return {"linewidth": DOTTED_PT, "linestyle": (0, (1, 2))}
    return {"linewidth": WIDE_PT if runs(hop, network) else THIN_PT}


def draw_legend(
    figure: Figure, axes: Axes, network: Mapping[str, Any], scale: Normalize, left: float, right: float
) -> None:
    """Write the title, what each line is, and what the discs are."""
    known_as = "" if network["name"] is None else f", {short_name(network['formula'], network['name'])}"
    height_in = figure.get_size_inches()[1]
    title = f"Hops of {network['working_ion']} in {typeset(network['formula'])}{known_as}"
    figure.text(left, 1 - 0.27 / height_in, title, fontsize=12, weight="bold", color=INK, va="center")
    figure.text(left, 1 - 0.5 / height_in, _subtitle(network), fontsize=8, color=GREY, va="center")
    handles = _hop_handles(network, scale) + _spot_handles(network)
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(right, 1 - 0.7 / height_in),
        bbox_transform=figure.transFigure, frameon=False, fontsize=TEXT_PT, handlelength=2.6,
        labelspacing=0.75, borderaxespad=0.0,
    )  # fmt: skip


def _subtitle(network: Mapping[str, Any]) -> str:
    """Return how the ions percolate, in a line."""
    dim = network["percolation_dim"]
    if network["barrier_at_dim_ev"] is None or not dim:
        return f"no percolation barrier: {str(network['reason']).replace('_', ' ')}"
    along = next((level["direction_conventional"] for level in network["levels"] if level["dim"] == dim), "")
    where = "in all directions" if along == "isotropic" else f"along {along}"
    return f"They percolate in {dim}-D {where} over {network['barrier_at_dim_ev']:.2f} eV"


def _hop_handles(network: Mapping[str, Any], scale: Normalize) -> list[Any]:
    """Return what the legend shows for each distinct hop, the lowest barrier first."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    handles = []
    for hop in listed_hops(network):
        style = line_style(hop, network)
        entry = Line2D(
            [], [], color=tuple(barrier_colour(hop["barrier_ev"], scale)), label=_told(hop, network),
            solid_capstyle="butt", **style,
        )  # fmt: skip
        if hop["rate_limiting"]:
            entry.set_path_effects([withStroke(linewidth=HALO_PT, foreground=INK)])
        handles.append(entry)
    left_out = len(network["hops"]) - len(handles)
    if left_out:
        handles.append(Line2D([], [], linestyle="none", label=f"{left_out} more distinct hops, not drawn"))
    return handles


def _told(hop: Record, network: Mapping[str, Any]) -> str:
    """Return what the legend says of a hop, in two lines."""
    barrier = "no barrier" if hop["barrier_ev"] is None else f"{hop['barrier_ev']:.2f} eV"
    often = f"{hop['multiplicity']} in the stored cell"
    lines = [f"hop {hop['number']}: {barrier}, {hop['distance_ang']:.2f} Å, {often}"]
    opened = [said(dims) for dims, level in merged(network["levels"]) if level["hop"] == hop["number"]]
    notes = []
    if hop["rate_limiting"]:
        notes.append("rate-limiting")
    if opened:
        notes.append(f"opens {opened[0]}")
    if hop["vacancy"]:
        notes.append("with a second vacancy")
    if hop["blocked_by"] is not None:
        notes.append(f"runs through a {hop['blocked_by'].replace('_', ' ')}")
    return "\n".join([*lines, *([", ".join(notes)] if notes else [])])


def _spot_handles(network: Mapping[str, Any]) -> list[Any]:
    """Return what the legend shows for sites and atoms."""
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    site = np.array(to_rgb(SITE))
    pale = site + OUTSIDE * (1.0 - site)
    kinds = [(f"site of {network['working_ion']}", site, site)]
    if any(node["kind"] == "empty" for node in network["nodes"]):
        kinds.append(("empty site", site, np.ones(3)))
    kinds.append(("the same outside the cell", pale, pale))
    handles = [
        Line2D(
            [], [], linestyle="none", marker="o", markersize=7, label=label, markerfacecolor=tuple(inner),
            markeredgecolor=tuple(edge * 0.75),
        )
        for label, edge, inner in kinds
    ]  # fmt: skip
    if network["host"]:
        elements = ", ".join(dict.fromkeys(atom["element"] for atom in network["host"]))
        handles.append(
            Line2D([], [], linestyle="none", marker="o", markersize=3, color=HOST, label=f"host: {elements}")
        )
    return handles
