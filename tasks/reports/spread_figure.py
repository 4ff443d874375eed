"""How the barriers of many materials are spread: a histogram, stacked by percolation dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.reports.drawing import GREY, INK, barrier_axis, blank
from tasks.reports.errors import FigureError
from tasks.reports.ranking_figure import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 7.2, 2.6
MOST_BINS = 30
MATERIALS_A_BIN = 4
"""How many materials a bin holds on average where there are few."""


def spread_figure(barriers: Sequence[tuple[float, int]]) -> Figure:
    """Draw how many materials have which barrier, over a logarithmic axis.

    Parameters
    ----------
    barriers : sequence of tuple of float and int
        Barrier at the percolation dimension (eV), and that dimension, of each material.

    Raises
    ------
    FigureError
        When no barrier lies above zero.
    """
    from matplotlib.ticker import MaxNLocator

    known = [(barrier_ev, dim) for barrier_ev, dim in barriers if barrier_ev > 0]
    if not known:
        raise FigureError(f"none of {len(barriers)} barriers is above zero, so there is nothing to draw")
    values = np.array([barrier_ev for barrier_ev, _ in known])
    dims = np.array([dim for _, dim in known])
    figure, axes = blank(WIDTH_IN, HEIGHT_IN)
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.2, top=0.86)
    low, high = float(values.min()), float(values.max())
    barrier_axis(axes, "x", low, high)
    n_bins = min(MOST_BINS, max(1, len(known) // MATERIALS_A_BIN))
    # A single barrier needs a bin with a width.
    edges = np.geomspace(low / 1.001, high * 1.001, n_bins + 1)
    present = [dim for dim in DIMENSIONS if (dims == dim).any()]
    axes.hist(
        [values[dims == dim] for dim in present], bins=list(edges), stacked=True,
        color=[DIMENSIONS[dim][0] for dim in present], label=[f"percolates in {dim}-D" for dim in present],
    )  # fmt: skip
    axes.set_xlabel("migration barrier at the percolation dimension (eV), log scale", fontsize=8, color=INK)
    axes.set_ylabel("materials", fontsize=8, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    title = f"{len(known)} materials with a barrier"
    axes.set_title(title, fontsize=9, color=GREY, loc="left")
    axes.legend(frameon=False, fontsize=7.5, loc="upper right")
    return figure
