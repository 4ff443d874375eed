"""Distances and energy along the path of a hop as drawings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reports.drawing import GREY, INK, LINE, MARK_PT, legend_entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

Record = dict[str, Any]

ANION, CATION, ENERGY = "#bb2222", "#2266aa", "#6a3d9a"
COLOURS = {"anions": ANION, "cations": CATION}
NEAREST_PT, OTHER_PT = 2.0, 0.7
TEXT_PT = 7.5
TRANSITION = "transition"
"""What the line at the transition state is called in the file."""

HEADROOM = 0.16
"""Share of an axis kept free above what is drawn, for the names of the states."""

FOOTROOM = 0.2
"""The same below, for the figure at the transition state."""

AT_END = 0.03
"""A transition state this near an end, as a share of the path, is that end."""

CHARACTER_PT, LINE_PT, DISC_PT = 4.6, 9.5, 5.5
"""About the width of a character and the height of a line, and how far a text keeps from a disc's middle."""

PLACES = (
    (0.0, -1.0), (0.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (0.0, -2.2), (0.0, 2.2),
    (-1.0, -2.2), (1.0, -2.2), (-1.0, 2.2), (1.0, 2.2), (-1.0, -3.5), (1.0, -3.5), (-1.0, 0.0), (1.0, 0.0),
)  # fmt: skip
"""Where the text at a disc may stand, in its own half widths and heights: below is the first choice."""

NEAR_EDGE = 0.22
"""A transition state this near an end, as a share of the path, has its texts beside it, not centred."""


def draw_distances(axes: Axes, hop: Mapping[str, Any]) -> None:
    """Draw how far the nearest anions and cations are along the path.

    Parameters
    ----------
    axes : Axes
        Where.
    hop : mapping
        As `tasks.reports.hop_facts.build_hop` returns it.
    """
    points = hop["path"]["points"]
    lows, highs, handles = [], [], []
    for role, colour in COLOURS.items():
        count = min(len(point[role]) for point in points)
        for rank in range(count):
            y = [point[role][rank]["distance_ang"] for point in points]
            axes.plot(
                _along(points), y, color=colour, linewidth=OTHER_PT if rank else NEAREST_PT,
                gid=f"{role}-{rank + 1}", zorder=2 if rank else 3,
            )  # fmt: skip
            lows.append(min(y))
            highs.append(max(y))
        if count:
            handles += _handles(role, count, points)
    _mark_states(axes, points)
    low, high = min(lows), max(highs)
    axes.set_ylim(max(low - FOOTROOM * (high - low), 0.0), high + HEADROOM * (high - low))
    at, d_min_ang = transition(hop)["along_ang"], transition(hop)["anions"][0]["distance_ang"]
    axes.set_xlim(0.0, points[-1]["along_ang"])
    _mark(axes, (at, d_min_ang), f"d_min {d_min_ang:.2f} Å", ANION, "d_min")
    axes.set_ylabel("distance from the ion (Å)", fontsize=8, color=INK)
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False,
        fontsize=TEXT_PT, handlelength=1.8, columnspacing=1.6, borderaxespad=0.2, labelspacing=0.3,
    )  # fmt: skip
    _write_states(axes, hop)
    _frame(axes, points)


def draw_energy(axes: Axes, hop: Mapping[str, Any]) -> None:
    """Draw the bond-valence site energy along the path.

    Parameters
    ----------
    axes : Axes
        Where.
    hop : mapping
        The same.
    """
    points = hop["path"]["points"]
    energies = [point["energy_ev"] for point in points]
    axes.plot(_along(points), energies, color=ENERGY, linewidth=NEAREST_PT, gid="energy", zorder=3)
    for extremum in hop["path"]["extrema"]:
        axes.plot(
            [extremum["along_ang"]], [extremum["energy_ev"]], "o", markersize=3.2, markerfacecolor="white",
            color=ENERGY, zorder=4, gid="extremum",
        )  # fmt: skip
    _mark_states(axes, points)
    top = transition(hop)
    low, high = min(energies), max(energies)
    room = max(high - low, 0.01)
    axes.set_ylim(low - 0.08 * room, high + 0.42 * room)
    axes.set_xlim(0.0, points[-1]["along_ang"])
    _mark(axes, (top["along_ang"], top["energy_ev"]), f"{top['energy_ev']:.2f} eV", ENERGY, "barrier")
    axes.set_ylabel("BVSE (eV)", fontsize=8, color=INK)
    if hop["path"]["extrema"]:
        entry = legend_entry("minima and other maxima", ENERGY, marker="o", filled=False)
        entry.set_markersize(3.2)
        axes.legend(
            handles=[entry], loc="lower center", fontsize=TEXT_PT, borderaxespad=0.2, borderpad=0.2,
            edgecolor="none",
        )  # fmt: skip
    _frame(axes, points)


def transition(hop: Mapping[str, Any]) -> Record:
    """Return the transition state among a path's points."""
    found: Record = next(point for point in hop["path"]["points"] if point["state"] == "transition")
    return found


def has_energies(hop: Mapping[str, Any]) -> bool:
    """Say whether energies are known along the path: not along a straight one."""
    return all(math.isfinite(point["energy_ev"]) for point in hop["path"]["points"])


def _along(points: Sequence[Record]) -> list[float]:
    return [point["along_ang"] for point in points]


def _handles(role: str, count: int, points: Sequence[Record]) -> list[Any]:
    """Return what the legend says of anions or cations: which elements come nearest."""
    elements = ", ".join(sorted({point[role][0]["element"] for point in points}))
    handles = [
        legend_entry(f"nearest {role[:-1]} ({elements})", COLOURS[role], line_width=NEAREST_PT),
    ]
    if count > 1:
        others = f"2nd to {count}th" if count > 3 else f"next {count - 1}"  # noqa: PLR2004 - 2nd, 3rd
        handles.append(legend_entry(f"{others} nearest {role[:-1]}", COLOURS[role], line_width=OTHER_PT))
    return handles


def _mark_states(axes: Axes, points: Sequence[Record]) -> None:
    """Draw a line at the transition state."""
    at = next(point["along_ang"] for point in points if point["state"] == "transition")
    axes.axvline(at, color=GREY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1, gid=TRANSITION)


def middle_said(hop: Mapping[str, Any]) -> str:
    """Return what stands at the transition state: of a straight path, its middle is taken for it."""
    return "transition state" if has_energies(hop) else "middle (as transition state)"


def _write_states(axes: Axes, hop: Mapping[str, Any]) -> None:
    """Name the states at the upper edge."""
    points = hop["path"]["points"]
    length = points[-1]["along_ang"]
    at = next(point["along_ang"] for point in points if point["state"] == "transition")
    side, shift = _beside(at, length)
    said = middle_said(hop)
    if min(at, length - at) < AT_END * length:
        said = f"{'site i' if at < length / 2 else 'site j'}, the {said}"
    for x, text, align, offset in (
        (0.0, "site i", "left", 3.0),
        (length, "site j", "right", -3.0),
        (at, said, side, shift),
    ):
        if text != said and abs(x - at) < NEAR_EDGE * length:
            continue
        axes.annotate(
            text, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(offset, -3),
            textcoords="offset points", fontsize=TEXT_PT, color=GREY, ha=align, va="top", gid="state",
            bbox=_paper(), zorder=6,
        )  # fmt: skip


def _mark(axes: Axes, at: tuple[float, float], text: str, colour: str, gid: str) -> None:
    """Put a disc on a curve and a text beside it, where it covers the least of all curves."""
    axes.plot([at[0]], [at[1]], "o", color=colour, markersize=MARK_PT + 1, zorder=5, gid=gid, clip_on=False)
    points_a_dot = 72.0 / axes.figure.dpi
    drawn = np.vstack([_dots(line) for line in axes.lines if line.get_gid() != TRANSITION]) * points_a_dot
    frame = axes.get_window_extent()
    low, high = np.array([frame.x0, frame.y0]) * points_a_dot, np.array([frame.x1, frame.y1]) * points_a_dot
    spot = axes.transData.transform(at) * points_a_dot
    half = np.array([len(text) * CHARACTER_PT, LINE_PT]) / 2.0
    best, least = np.zeros(2), math.inf
    for rank, (right, up) in enumerate(PLACES):
        shift = np.array([right * (half[0] + DISC_PT), up * (half[1] + DISC_PT)])
        middle = spot + shift
        covered = int((np.abs(drawn - middle) < half).all(axis=1).sum())
        outside = float(
            np.maximum(low - (middle - half), 0.0).sum() + np.maximum(middle + half - high, 0.0).sum()
        )
        cost = covered + 100.0 * outside + 0.1 * rank
        if cost < least:
            best, least = shift, cost
    axes.annotate(
        text, at, xytext=(float(best[0]), float(best[1])), textcoords="offset points",
        fontsize=TEXT_PT, color=colour, ha="center", va="center", zorder=6, gid=gid, bbox=_paper(),
    )  # fmt: skip


def _dots(line: Line2D) -> NDArray[np.float64]:
    """Return closely spaced points of a line, as it lies on the page in dots."""
    dots = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
    share = np.linspace(0.0, 1.0, 20)[:, None, None]
    between: NDArray[np.float64] = ((1.0 - share) * dots[None, :-1] + share * dots[None, 1:]).reshape(-1, 2)
    return between


def _beside(at: float, length: float) -> tuple[str, float]:
    """Return how a text at a place of the path is aligned, and by how much it is moved."""
    if at < NEAR_EDGE * length:
        return "left", 4.0
    return ("right", -4.0) if at > (1.0 - NEAR_EDGE) * length else ("center", 0.0)


def _paper() -> dict[str, Any]:
    """Return what keeps a text readable that stands on lines."""
    return {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def _frame(axes: Axes, points: Sequence[Record]) -> None:
    axes.set_xlim(0.0, points[-1]["along_ang"])
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
