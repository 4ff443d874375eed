"""A hop as a picture: barcodes, what lies near the path, polyhedra that it leaves and squeezes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.reports.drawing import GREY, INK, blank
from tasks.reports.hop_barcode import DIMENSIONS, DRAWN_ANG, MEANINGS, draw_barcode, short_bars, still_open
from tasks.reports.hop_polyhedra import draw_polyhedra
from tasks.reports.hop_profile import draw_distances, draw_energy, has_energies
from tasks.reports.hop_text import barrier_said, hop_said, path_said
from tasks.reports.ranking_figure import short_name, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 11.0, 8.9
LEFT_IN, BETWEEN_IN, RIGHT_IN = 0.3, 0.75, 0.2
TITLE_IN, BELOW_IN = 0.9, 0.75
BARCODES_IN = 4.1
"""Width of the column of barcodes."""

GAP_IN, HEADING_IN = 0.42, 0.3
"""Room between panels for the heading of the lower one, and the heading of the uppermost."""

PROFILE_IN, ENERGY_IN, LEGEND_IN = 2.4, 1.1, 0.45
POLYHEDRA_GAP_IN = 0.95
"""Room for the axis above the polyhedra and for their headings."""

POLYHEDRA_IN = 0.38
"""Room below the polyhedra."""

SHOWN = ("initial", "transition")
CLOUDS = ("anion", "cation", "framework")


def hop_figure(hop: Mapping[str, Any]) -> Figure:
    """Draw a hop.

    Parameters
    ----------
    hop : mapping
        As `tasks.reports.hop_facts.build_hop` returns it.

    Returns
    -------
    Figure
        Axes in order: the profile of distances, that of energies where there are any, the polyhedra of the
        initial and the transition state, and the barcode of each cloud.
    """
    figure, distances = blank(WIDTH_IN, HEIGHT_IN)
    left = LEFT_IN + BARCODES_IN + BETWEEN_IN
    width = WIDTH_IN - left - RIGHT_IN
    top = HEIGHT_IN - TITLE_IN - LEGEND_IN
    energy = has_energies(hop)
    height = PROFILE_IN if energy else PROFILE_IN + ENERGY_IN
    _place(distances, left, top - height, width, height)
    draw_distances(distances, hop)
    last = distances
    if energy:
        last = _add(figure, left, top - height - 0.12 - ENERGY_IN, width, ENERGY_IN)
        draw_energy(last, hop)
        distances.tick_params(labelbottom=False)
    last.set_xlabel("distance along the path (Å)", fontsize=8, color=INK)
    room = top - PROFILE_IN - ENERGY_IN - 0.12 - POLYHEDRA_GAP_IN - POLYHEDRA_IN
    size = (width + 0.35) / 2 - 0.1, room
    panels = {
        name: _add(figure, left - 0.35 + k * (size[0] + 0.2), POLYHEDRA_IN, *size)
        for k, name in enumerate(SHOWN)
    }
    draw_polyhedra(panels, size, hop)
    _note(
        figure,
        left - 0.35,
        "Anion polyhedra seen from beside the hop, to one scale; distances from the ion in Å",
        "Green: the path from site i (left) to site j (right)",
    )
    _draw_barcodes(figure, hop)
    _write_title(figure, hop)
    return figure


def _draw_barcodes(figure: Figure, hop: Mapping[str, Any]) -> None:
    """Draw the barcodes one above the other, to one axis of lengths."""
    clouds = [cloud for cloud in CLOUDS if cloud in hop["bars"]]
    room = HEIGHT_IN - TITLE_IN - HEADING_IN - BELOW_IN - (len(clouds) - 1) * GAP_IN
    height = room / len(clouds)
    for k, cloud in enumerate(reversed(clouds)):
        axes = _add(figure, LEFT_IN, BELOW_IN + k * (height + GAP_IN), BARCODES_IN, height)
        draw_barcode(axes, cloud, hop["bars"][cloud], lowest=k == 0)
    names = ", ".join(MEANINGS[dimension] for dimension in DIMENSIONS)
    short = sum(short_bars(hop["bars"][cloud]) for cloud in clouds)
    notes = [f"Persistence of the atoms near the path: {names}"]
    if short:
        notes.append(f"{short} {'bar' if short == 1 else 'bars'} under {DRAWN_ANG} Å not drawn")
    if any(still_open(hop["bars"][cloud]) for cloud in clouds):
        notes.append("a bar with a tip is open beyond the axis")
    _note(figure, LEFT_IN, notes[0], "; ".join(notes[1:]))


def _write_title(figure: Figure, hop: Mapping[str, Any]) -> None:
    """Write what is drawn: crystal, hop, barrier and path."""
    known_as = "" if hop["name"] is None else short_name(hop["formula"], hop["name"])
    title = f"A hop of {hop['working_ion']} in {typeset(hop['formula'])}"
    if known_as:
        title += f", {known_as}"
    x = LEFT_IN / WIDTH_IN
    figure.text(x, 1 - 0.25 / HEIGHT_IN, title, fontsize=12, weight="bold", color=INK, va="center")
    for text, down_in in ((hop_said(hop), 0.49), (f"{barrier_said(hop)}; {path_said(hop)}", 0.68)):
        # A file's name may hold a dollar sign, and is no formula.
        figure.text(x, 1 - down_in / HEIGHT_IN, text, fontsize=8, color=GREY, va="center", parse_math=False)


def _note(figure: Figure, left_in: float, *lines: str) -> None:
    """Write lines of small print at the lower edge."""
    for text, above_in in zip(lines, (0.26, 0.12), strict=False):
        figure.text(
            left_in / WIDTH_IN, above_in / HEIGHT_IN, text, fontsize=7, color=GREY, va="center", gid="note"
        )


def _place(axes: Axes, left_in: float, low_in: float, width_in: float, height_in: float) -> None:
    axes.set_position((left_in / WIDTH_IN, low_in / HEIGHT_IN, width_in / WIDTH_IN, height_in / HEIGHT_IN))


def _add(figure: Figure, left_in: float, low_in: float, width_in: float, height_in: float) -> Axes:
    """Add axes at a place in inches, with the look of all figures."""
    axes = figure.add_axes(
        (left_in / WIDTH_IN, low_in / HEIGHT_IN, width_in / WIDTH_IN, height_in / HEIGHT_IN)
    )
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8)
    return axes
