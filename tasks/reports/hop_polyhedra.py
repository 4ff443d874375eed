"""The anion polyhedron of a state as a drawing: edges, atoms and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reports.drawing import GREY, INK
from tasks.reports.hop_profile import middle_said
from tasks.reports.hop_scene import best_view, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tasks.reports.hop_scene import Drawn

ION = "#3fa34d"
ANIONS = {
    "O": "#d1495b", "S": "#d4a017", "Se": "#c77d2a", "Te": "#9c6b30", "F": "#7fb069", "Cl": "#3d9970",
    "Br": "#8d5524", "I": "#7d3c98", "N": "#3f6cb5",
}  # fmt: skip
OTHER = "#888888"
TEXT_PT, HEADING_PT = 7.0, 8.5
ATOM_IN = 0.085
"""Radius of a disc."""

CHARACTER_IN, LINE_IN = 0.063, 0.13
"""About the width of a character of a label, and its height."""

MARGIN_IN = (0.62, 0.32)
"""Room beside and above the outermost atoms for their labels."""

HEAD_IN = 0.32
"""Room for the figures above the atoms."""

SOLID = 4
"""Fewer corners enclose no volume."""

MOST_IN_AN_ANG = 0.62
BACK = 0.55
"""How much of its colour the hindmost part loses to the white of the page."""


def draw_polyhedra(panels: Mapping[str, Axes], size_in: tuple[float, float], hop: Mapping[str, Any]) -> None:
    """Draw states side by side, seen from one side and to one scale.

    Parameters
    ----------
    panels : mapping of str to Axes
        Where each state is drawn.
    size_in : tuple of float
        Width and height of such a panel in inches.
    hop : mapping
        As `tasks.reports.hop_facts.build_hop` returns it.
    """
    axes_3d = best_view(hop, tuple(panels))
    in_an_ang = _scale(hop, panels, size_in, axes_3d)
    longest = max(len(anion["element"]) + 5 for name in panels for anion in hop["states"][name]["anions"])
    label = (longest * CHARACTER_IN / in_an_ang, LINE_IN / in_an_ang)
    for name, axes in panels.items():
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_xlim(-size_in[0] / 2 / in_an_ang, size_in[0] / 2 / in_an_ang)
        axes.set_ylim((HEAD_IN - size_in[1]) / 2 / in_an_ang, (HEAD_IN + size_in[1]) / 2 / in_an_ang)
        drawn = flattened(hop, name, axes_3d, label, ATOM_IN / in_an_ang)
        _draw(axes, drawn, str(hop["working_ion"]))
        _head(axes, middle_said(hop) if name == "transition" else f"{name} state", hop["states"][name])


def _scale(
    hop: Mapping[str, Any],
    panels: Mapping[str, Axes],
    size_in: tuple[float, float],
    axes_3d: NDArray[np.float64],
) -> float:
    """Return inches an Å, so that the larger of the states fits with its labels."""
    scales = [MOST_IN_AN_ANG]
    for name in panels:
        state = hop["states"][name]
        spots = np.array(
            [
                state["position_ang"],
                *(anion["position_ang"] for anion in state["anions"]),
                *([] if hop["also_vacant_ang"] is None else [hop["also_vacant_ang"]]),
            ]
        )
        extent = np.ptp(spots @ axes_3d[:2].T, axis=0)
        scales += [
            (room - 2 * margin) / max(float(wide), 0.5)
            for room, margin, wide in zip((size_in[0], size_in[1] - HEAD_IN), MARGIN_IN, extent, strict=True)
        ]
    return min(scales)


def _draw(axes: Axes, drawn: Drawn, ion: str) -> None:
    """Draw faces, edges, path, bonds, atoms and labels, what lies behind first and paler."""
    depths = np.append(drawn.anions_ang[:, 2], drawn.ion_ang[2])
    low, span = float(depths.min()), max(float(np.ptp(depths)), 1e-9)

    def near(depth: float) -> float:
        return min(max((depth - low) / span, 0.0), 1.0)

    for face in drawn.faces:
        corners = drawn.anions_ang[list(face), :2]
        axes.fill(
            corners[:, 0], corners[:, 1], color="#5b7db1", alpha=0.09, linewidth=0, zorder=1, gid="face"
        )
    for a, b in drawn.edges:
        ends = drawn.anions_ang[[a, b]]
        depth = near(float(ends[:, 2].mean()))
        axes.plot(
            ends[:, 0], ends[:, 1], color=_faded("#35507a", depth), linewidth=0.6 + 0.9 * depth,
            zorder=2 + depth, gid="edge", solid_capstyle="round",
        )  # fmt: skip
    for place in drawn.anions_ang:
        axes.plot(
            *np.array([drawn.ion_ang, place])[:, :2].T, color=GREY, linewidth=0.7, linestyle=(0, (2, 2)),
            zorder=2.5, gid="bond",
        )  # fmt: skip
    axes.plot(
        drawn.path_ang[:, 0], drawn.path_ang[:, 1], color=ION, linewidth=1.6, alpha=0.75, zorder=4,
        gid="path",
    )  # fmt: skip
    for end in (0, -1):
        x, y, _ = drawn.path_ang[end]
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        if left < x < right and low < y < high:
            _disc(axes, x, y, 0.55, face="white", edge=ION, zorder=4.5, gid="site")
    if drawn.vacancy_ang is not None:
        _disc(
            axes, drawn.vacancy_ang[0], drawn.vacancy_ang[1], 0.8, face="white", edge=GREY, zorder=4.5,
            gid="vacancy",
        )  # fmt: skip
    for place, element in zip(drawn.anions_ang, drawn.elements, strict=True):
        depth = near(float(place[2]))
        colour = _faded(ANIONS.get(element, OTHER), depth)
        _disc(axes, place[0], place[1], 1.0, face=colour, edge="white", zorder=5 + depth, gid="anion")
    _disc(axes, drawn.ion_ang[0], drawn.ion_ang[1], 1.15, face=ION, edge="white", zorder=7, gid="ion")
    axes.text(
        drawn.ion_ang[0], drawn.ion_ang[1], ion, fontsize=6.0, weight="bold", color="white", ha="center",
        va="center_baseline", zorder=8, gid="ion",
    )  # fmt: skip
    _write_labels(axes, drawn)


def _write_labels(axes: Axes, drawn: Drawn) -> None:
    """Write element and distance beside each anion, with a line to those that had to stand further off."""
    for label in drawn.labels:
        if label.led:
            axes.plot(
                *np.array([label.spot_ang, label.at_ang]).T,
                color=GREY,
                linewidth=0.5,
                zorder=4.8,
                gid="leader",
            )
        axes.text(
            float(label.at_ang[0]), float(label.at_ang[1]), label.text, fontsize=TEXT_PT, color=INK,
            ha="center", va="center", zorder=9, gid="label",
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
        )  # fmt: skip


def _disc(
    axes: Axes,
    x: float,
    y: float,
    size: float,
    *,
    face: str | tuple[float, ...],
    edge: str,
    zorder: float,
    gid: str,
) -> None:
    """Draw an atom, or a site without one."""
    axes.plot(
        [x], [y], "o", markersize=2 * 72 * ATOM_IN * size, markerfacecolor=face, markeredgecolor=edge,
        markeredgewidth=0.8 if size >= 1.0 else 1.2, zorder=zorder, gid=gid, clip_on=False,
    )  # fmt: skip


def _head(axes: Axes, heading: str, state: Mapping[str, Any]) -> None:
    """Write above a panel which state it is, and the figures of its polyhedron."""
    axes.text(
        0.0, 1.0, heading, transform=axes.transAxes, fontsize=HEADING_PT, weight="bold", color=INK,
        va="bottom", gid="heading",
    )  # fmt: skip
    axes.text(
        0.0, 0.99, said(state), transform=axes.transAxes, fontsize=TEXT_PT + 0.5, color=GREY, va="top",
        linespacing=1.35, gid="figures",
    )  # fmt: skip


def said(state: Mapping[str, Any]) -> str:
    """Return the figures of a polyhedron in two lines."""
    size = f", {state['volume_ang3']:.1f} Å³" if len(state["anions"]) >= SOLID else ""
    noun = "anion" if len(state["anions"]) == 1 else "anions"
    return (
        f"{coordination(state)} {noun}{size}, bond-valence sum {state['bond_valence_sum']:.2f}\n"
        f"{distances_said(state)}"
    )


def distances_said(state: Mapping[str, Any]) -> str:
    """Return the range of the distances to the corners, and their mean where they differ."""
    low, high = f"{state['d_min_ang']:.2f}", f"{state['d_max_ang']:.2f}"
    return f"at {low} Å" if low == high else f"at {low} to {high} Å, mean {state['d_mean_ang']:.2f} Å"


def coordination(state: Mapping[str, Any]) -> str:
    """Return the coordination number as text, without decimals where it has none."""
    return f"{state['coordination_number']:.2f}".rstrip("0").rstrip(".")


def _faded(colour: str, near: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    solid = np.array(to_rgb(colour))
    return tuple((solid + (1.0 - solid) * BACK * (1.0 - near)).tolist())
