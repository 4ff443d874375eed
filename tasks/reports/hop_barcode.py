"""The persistence barcodes of a hop as drawings, one a cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.reports.drawing import GREY, INK, LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

DIMENSIONS = ("h0", "h1", "h2")
COLOURS = {"h0": "#4477aa", "h1": "#cc6677", "h2": "#228833"}
NAMES = {"h0": "H0", "h1": "H1", "h2": "H2"}
MEANINGS = {"h0": "H0 pieces", "h1": "H1 rings", "h2": "H2 cages"}
TEXT_PT = 7.5

DRAWN_ANG = 0.1
"""Shorter bars are counted and not drawn: in the descriptors they weigh little."""

OPEN_ANG = 1e-6
SPACER = 2.0
"""Rows left free between dimensions."""


def draw_barcode(axes: Axes, cloud: str, bars: Mapping[str, Any], *, lowest: bool) -> None:
    """Draw the bars of a cloud, H0 at the bottom, and say above how many there are.

    Parameters
    ----------
    axes : Axes
        Where.
    cloud : str
        Name of the cloud.
    bars : mapping
        Its entry in ``bars`` of `tasks.reports.hop_facts.build_hop`.
    lowest : bool
        Whether the axis of lengths is written below.
    """
    limit = bars["threshold_ang"]
    row = 0.0
    for dimension in DIMENSIONS:
        shown = drawn_bars(bars.get(dimension, ()))
        for birth, death in shown:
            axes.plot(
                [birth, death], [row, row], color=COLOURS[dimension], linewidth=_width_pt(bars),
                solid_capstyle="butt", gid=f"{cloud}-{dimension}",
            )  # fmt: skip
            if death > limit - OPEN_ANG:
                axes.plot([limit], [row], ">", color=COLOURS[dimension], markersize=3.0, clip_on=False)
            row += 1.0
        row += SPACER if shown else 0.0
    axes.set_xlim(0.0, limit)
    axes.set_ylim(-1.5, max(row - SPACER + 0.5, 1.0))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)
    axes.tick_params(labelbottom=lowest)
    if lowest:
        axes.set_xlabel("longest distance that joins two atoms (Å)", fontsize=8, color=INK)
    _write_heading(axes, cloud, bars)


def drawn_bars(bars: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the bars that are drawn, in the order of their births and then deaths."""
    return sorted((birth, death) for birth, death in bars if death - birth >= DRAWN_ANG)


def _width_pt(bars: Mapping[str, Any]) -> float:
    """Return how wide a bar may be so that neighbours do not touch."""
    rows = sum(len(drawn_bars(bars.get(dimension, ()))) for dimension in DIMENSIONS)
    return float(min(2.4, 90.0 / max(rows, 1)))


def _write_heading(axes: Axes, cloud: str, bars: Mapping[str, Any]) -> None:
    """Write above the panel the cloud's name, its atoms and, in their colours, how many bars there are."""
    elements = ", ".join(f"{count} {element}" for element, count in bars["elements"].items())
    axes.text(
        0.0, 1.02, f"{cloud}s" if cloud != "framework" else cloud, transform=axes.transAxes, fontsize=8.5,
        weight="bold", color=INK, va="bottom", gid="cloud",
    )  # fmt: skip
    axes.text(
        0.21, 1.02, elements, transform=axes.transAxes, fontsize=TEXT_PT, color=GREY, va="bottom", gid="atoms"
    )
    right = 1.0
    for dimension in reversed(DIMENSIONS):
        count = len(drawn_bars(bars.get(dimension, ())))
        axes.text(
            right, 1.02, f"{NAMES[dimension]}: {count}", transform=axes.transAxes, fontsize=TEXT_PT,
            color=COLOURS[dimension], va="bottom", ha="right", weight="bold", gid="count",
        )  # fmt: skip
        right -= 0.13


def still_open(bars: Mapping[str, Any]) -> bool:
    """Say whether a bar of a cloud reaches the end of the axis."""
    deaths = [death for name in DIMENSIONS for _, death in drawn_bars(bars.get(name, ()))]
    return max(deaths, default=0.0) > float(bars["threshold_ang"]) - OPEN_ANG


def short_bars(bars: Mapping[str, Any]) -> int:
    """Return how many bars of a cloud are not drawn."""
    return sum(len(bars.get(name, ())) - len(drawn_bars(bars.get(name, ()))) for name in DIMENSIONS)
