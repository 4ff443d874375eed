"""A hop network as a picture: one conventional cell, sites as discs, hops as lines coloured by barrier."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reports.drawing import GREY, INK, blank
from tasks.reports.errors import FigureError
from tasks.reports.network_legend import (
    HALO_PT,
    HOST,
    OUTSIDE,
    SITE,
    barrier_colour,
    barrier_scale,
    draw_legend,
    line_style,
    listed_hops,
)
from tasks.reports.network_scene import best_view, runs, scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tasks.reports.network_scene import Line, Scene

Record = dict[str, Any]

PICTURE_IN, LEGEND_IN, EDGE_IN = 5.4, 3.1, 0.15
ENTRY_IN, TRIAD_IN = 0.29, 0.45
"""Height of a hop in the legend, and half of that of the arrows below it."""

ABOVE_IN, BELOW_IN = 0.75, 0.35
MOST_HIGH_IN = 7.5
ROUND_IT = 1.08
"""How much larger the picture is than what it shows."""

SITE_AREA, HOST_AREA = 62.0, 9.0
HOPS_FADE = 0.45
FAR = 0.62
"""How much of the colour the hindmost parts lose to the white of the page."""

FREE_ANG = 0.6
"""A number this far from other lines and sites is plainly that of its own line."""

BEND_POINTS = 13
NUMBER_AT = (0.5, 0.38, 0.62, 0.28, 0.72)
"""Where on a line its number may stand; the middle is the first choice among equals."""


def network_figure(network: Mapping[str, Any]) -> Figure:
    """Draw a hop network: the conventional cell, seen so that most of it shows.

    Parameters
    ----------
    network : mapping
        As `tasks.reports.network.build_network` returns it.

    Returns
    -------
    Figure
        Hops carry ``hop-NUMBER`` as their gid, sites ``site``.

    Raises
    ------
    FigureError
        When the database holds no structure of the material.
    """
    if network["lattice_ang"] is None:
        raise FigureError(f"{network['material_id']} has no stored structure, so there is nothing to draw")
    hops = {hop["number"]: hop for hop in listed_hops(network)}
    drawn = scene(
        {
            **network,
            "hops": list(hops.values()),
            "edges": [edge for edge in network["edges"] if edge["hop"] in hops],
        }
    )
    axes_3d = best_view(drawn, {number: _weight(hop, network) for number, hop in hops.items()})
    far = np.array(list(product((0.0, 1.0), repeat=3))) * drawn.times
    corners = drawn.origin_ang + far @ drawn.cell_ang
    shown = np.vstack([corners, *(spot.place_ang[None] for spot in drawn.spots)]) @ axes_3d.T
    low, high = shown.min(axis=0), shown.max(axis=0)
    wide, tall = ROUND_IT * np.maximum(high - low, 1.0)[:2]
    listed_in = ENTRY_IN * (len(hops) + 5) + 2 * TRIAD_IN
    high_in = max(min(PICTURE_IN * tall / wide, MOST_HIGH_IN), listed_in)
    width_in, height_in = PICTURE_IN + LEGEND_IN, ABOVE_IN + high_in + BELOW_IN
    figure, axes = blank(width_in, height_in)
    axes.set_position(
        (EDGE_IN / width_in, BELOW_IN / height_in, (PICTURE_IN - EDGE_IN) / width_in, high_in / height_in)
    )
    axes.set_axis_off()
    axes.set_aspect("equal")
    middle, half = (low + high)[:2] / 2, ROUND_IT * (high - low)[:2] / 2
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    scale = barrier_scale(list(hops.values()))
    _draw_cell(axes, drawn, axes_3d)
    _draw_hops(axes, drawn, axes_3d, hops, scale, network)
    _draw_spots(axes, drawn, axes_3d)
    _number_hops(axes, drawn, axes_3d, hops)
    _draw_triad(figure, drawn, axes_3d, (PICTURE_IN + 2 * TRIAD_IN, BELOW_IN + TRIAD_IN))
    draw_legend(figure, axes, network, scale, EDGE_IN / width_in, PICTURE_IN / width_in)
    return figure


def _weight(hop: Record, network: Mapping[str, Any]) -> float:
    """Return how much it matters that a hop is seen: those of the percolating network first."""
    if not hop["carries_percolation"]:
        return 0.05
    return 1.0 if runs(hop, network) else 0.2


def _faded(colour: NDArray[np.float64], behind: float) -> NDArray[np.float64]:
    """Return a colour, the paler the further behind it lies (0 to 1)."""
    return colour + (1.0 - colour) * FAR * behind


def _nearness(drawn: Scene, axes_3d: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], float]:
    """Return what says how near a place is: 0 for the hindmost spot, 1 for the foremost."""
    depths = np.array([spot.place_ang for spot in drawn.spots]) @ axes_3d[2]
    low, high = float(depths.min()), float(depths.max())

    def near(place_ang: NDArray[np.float64]) -> float:
        return float(np.clip((axes_3d[2] @ place_ang - low) / max(high - low, 1e-9), 0.0, 1.0))

    return near


def _draw_cell(axes: Axes, drawn: Scene, axes_3d: NDArray[np.float64]) -> None:
    """Draw the outlines of the cells."""
    for cell in product(*(range(times) for times in drawn.times)):
        for first, last in product(product((0, 1), repeat=3), repeat=2):
            if sum(first) + 1 == sum(last) and all(a <= b for a, b in zip(first, last, strict=True)):
                ends = drawn.origin_ang + (np.array([first, last]) + cell) @ drawn.cell_ang
                x, y, _ = axes_3d @ ends.T
                axes.plot(x, y, color=GREY, linewidth=0.6, zorder=1, gid="cell")


def _draw_triad(
    figure: Figure, drawn: Scene, axes_3d: NDArray[np.float64], at_in: tuple[float, float]
) -> None:
    """Draw where the cell's vectors point, as arrows beside the picture."""
    width_in, height_in = figure.get_size_inches()
    size_in = 2 * TRIAD_IN
    axes = figure.add_axes(
        (
            (at_in[0] - TRIAD_IN) / width_in,
            (at_in[1] - TRIAD_IN) / height_in,
            size_in / width_in,
            size_in / height_in,
        )
    )
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-1.5, 1.5)
    axes.set_ylim(-1.5, 1.5)
    for name, vector in zip("abc", drawn.cell_ang, strict=True):
        x, y, _ = axes_3d @ vector / np.linalg.norm(vector)
        axes.annotate(
            "", (x, y), (0.0, 0.0),
            arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.0},
        )  # fmt: skip
        out = 1.0 + 0.28 / max(float(np.hypot(x, y)), 0.28)
        axes.text(
            out * x,
            out * y,
            name,
            ha="center",
            va="center",
            fontsize=8,
            style="italic",
            color=INK,
            gid="axis",
        )


def _draw_hops(
    axes: Axes,
    drawn: Scene,
    axes_3d: NDArray[np.float64],
    hops: Mapping[int, Record],
    scale: Normalize,
    network: Mapping[str, Any],
) -> None:
    """Draw every hop of the cell: wide where ions percolate, haloed where they are held up."""
    nearness = _nearness(drawn, axes_3d)
    for line in drawn.lines:
        hop = hops[line.hop]
        near = nearness((line.start_ang + line.end_ang) / 2)
        x, y, _ = axes_3d @ _bent(line.start_ang, line.end_ang, line.by_ang).T
        style = line_style(hop, network)
        # What ions do not use lies behind, and pale: it is most of the lines and least of the matter.
        used = runs(hop, network)
        zorder = 10 + 10 * near if used else 5 + near
        if hop["rate_limiting"]:
            axes.plot(x, y, color=INK, linewidth=HALO_PT, solid_capstyle="butt", zorder=zorder - 0.01)
        # Less than discs: the colour must still be told.
        colour = _faded(barrier_colour(hop["barrier_ev"], scale), HOPS_FADE * (1.0 - near if used else 1.0))
        axes.plot(
            x, y, color=tuple(colour), zorder=zorder, gid=f"hop-{line.hop}", solid_capstyle="butt", **style
        )


def _along(line: Line) -> NDArray[np.float64]:
    """Return the places on a hop's line where its number may stand."""
    points = _bent(line.start_ang, line.end_ang, line.by_ang)
    if len(points) > 2:  # noqa: PLR2004 - a straight line has its two ends
        return points[[len(points) // 2]]
    share = np.array(NUMBER_AT)[:, None]
    places: NDArray[np.float64] = (1.0 - share) * points[0] + share * points[1]
    return places


def _gap(at: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
    """Return how far a point in the picture is from the nearest of some segments, in Å."""
    if len(ends) == 0:
        return FREE_ANG
    start, along = ends[:, 0], ends[:, 1] - ends[:, 0]
    share = ((at - start) * along).sum(axis=1) / np.maximum((along * along).sum(axis=1), 1e-9)
    nearest = start + np.clip(share, 0.0, 1.0)[:, None] * along
    return float(np.linalg.norm(nearest - at, axis=1).min())


def _number_hops(axes: Axes, drawn: Scene, axes_3d: NDArray[np.float64], hops: Mapping[int, Record]) -> None:
    """Write its number on one line of each hop, in front and away from sites and other numbers."""
    taken = [(axes_3d @ spot.place_ang)[:2] for spot in drawn.spots if spot.kind != "host"]
    nearness = _nearness(drawn, axes_3d)
    for number in sorted(hops):
        places = [place for line in drawn.lines if line.hop == number for place in _along(line)]
        if not places:
            continue
        others = [line for line in drawn.lines if line.hop != number]
        ends = np.array([[line.start_ang, line.end_ang] for line in others]).reshape(-1, 2, 3) @ axes_3d[:2].T
        free = [
            min(_gap(flat, np.array([[at, at] for at in taken])), _gap(flat, ends))
            for flat in (np.array(places) @ axes_3d[:2].T)
        ]
        near = [nearness(place) for place in places]
        best = max(range(len(places)), key=lambda k: min(free[k], FREE_ANG) + 0.2 * near[k])
        x, y, _ = axes_3d @ places[best]
        taken.append(np.array([x, y]))
        axes.text(
            x, y, str(number), fontsize=7, color=INK, ha="center", va="center", zorder=35, gid="number",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": GREY, "linewidth": 0.4},
        )  # fmt: skip


def _bent(
    start_ang: NDArray[np.float64], end_ang: NDArray[np.float64], by_ang: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return points of a hop's line: straight, or bent through the triangle with a further vacant site."""
    if by_ang is None:
        return np.array([start_ang, end_ang])
    along = np.linspace(0.0, 1.0, BEND_POINTS)[:, None]
    # The middle of this parabola is the middle of the triangle.
    control = 2 * (start_ang + end_ang + by_ang) / 3 - (start_ang + end_ang) / 2
    points: NDArray[np.float64] = (
        (1 - along) ** 2 * start_ang + 2 * along * (1 - along) * control + along**2 * end_ang
    )
    return points


def _draw_spots(axes: Axes, drawn: Scene, axes_3d: NDArray[np.float64]) -> None:
    """Draw sites as discs, empty ones hollow, those outside the cell pale, and host atoms as dots."""
    from matplotlib.colors import to_rgb

    nearness = _nearness(drawn, axes_3d)
    for spot in drawn.spots:
        near = nearness(spot.place_ang)
        x, y, _ = axes_3d @ spot.place_ang
        if spot.kind == "host":
            colour = _faded(np.array(to_rgb(HOST)), 0.6 * (1.0 - near))
            axes.scatter([x], [y], s=HOST_AREA, color=[tuple(colour)], zorder=2, linewidths=0, gid="host")
            continue
        colour = np.array(to_rgb(SITE))
        colour = _faded(colour, 1.0 - near) if spot.inside else colour + OUTSIDE * (1.0 - colour)
        axes.scatter(
            [x], [y], s=SITE_AREA * (0.75 + 0.25 * near), edgecolors=[tuple(colour * 0.75)], linewidths=1.0,
            facecolors=["white" if spot.kind == "empty" else tuple(colour)],
            zorder=20.1 + 10 * near if spot.inside else 10 + 10 * near, gid="site",
        )  # fmt: skip
