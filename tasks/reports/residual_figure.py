"""Predicted less reference barriers: hop by hop against the reference, and how often each error occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.reports.drawing import (
    GREY,
    INK,
    LINE,
    MARK_PT,
    barrier_axis,
    blank,
    ion_colours,
    legend_entry,
)
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SIDE_IN, BARS_IN, GAP_IN, HEIGHT_IN = 5.0, 1.3, 0.12, 3.9
LABEL_IN, TITLE_IN, LEGEND_IN, EDGE_IN = 0.65, 0.65, 1.6, 0.1
SHOWN = 0.97
"""Share of the residuals that the frame reaches; of the others only the side is shown, so that a few large
ones do not squeeze the many."""

LEAST_REACH_EV = 0.05
N_BINS = 41


def residual_figure(
    reference_ev: NDArray[np.float64],
    predicted_ev: NDArray[np.float64],
    *,
    ions: Sequence[str],
    in_domain: NDArray[np.bool_],
    title: str,
) -> Figure:
    """Draw residuals against reference barriers, with their histogram beside.

    Parameters
    ----------
    reference_ev, predicted_ev : ndarray of shape (n,)
        Barriers in eV, above zero.
    ions : sequence of str
        Which ion moves, one a hop.
    in_domain : ndarray of shape (n,), bool
        Whether the hop lies inside the training domain; others are hollow.
    title : str
        What was predicted by what.

    Raises
    ------
    FigureError
        When there is no hop, the arrays differ in length, or a barrier is not above zero.
    """
    _check(reference_ev, predicted_ev, ions, in_domain)
    residual_ev = predicted_ev - reference_ev
    reach_ev = max(float(np.quantile(np.abs(residual_ev), SHOWN)) * 1.1, LEAST_REACH_EV)
    width_in = LABEL_IN + SIDE_IN + GAP_IN + BARS_IN + LEGEND_IN
    height_in = LABEL_IN + HEIGHT_IN + TITLE_IN
    figure, axes = blank(width_in, height_in)
    bottom, tall = LABEL_IN / height_in, HEIGHT_IN / height_in
    axes.set_position((LABEL_IN / width_in, bottom, SIDE_IN / width_in, tall))
    bars = figure.add_axes(
        ((LABEL_IN + SIDE_IN + GAP_IN) / width_in, bottom, BARS_IN / width_in, tall), sharey=axes
    )
    colours = ion_colours(ions)
    _points(axes, reference_ev, residual_ev, reach_ev, ions, colours, in_domain)
    _histogram(bars, residual_ev, reach_ev, ions, colours)
    left = EDGE_IN / width_in
    figure.text(left, 1 - 0.2 / height_in, title, fontsize=11, weight="bold", color=INK, va="center")
    said = _figures(residual_ev, reach_ev)
    figure.text(left, 1 - 0.44 / height_in, said, fontsize=8, color=GREY, va="center")
    beyond = bool((np.abs(residual_ev) > reach_ev).any())
    _legend(bars, colours, ions, hollow=not bool(np.all(in_domain)), beyond=beyond)
    return figure


def _points(
    axes: Axes,
    reference_ev: NDArray[np.float64],
    residual_ev: NDArray[np.float64],
    reach_ev: float,
    ions: Sequence[str],
    colours: dict[str, str],
    in_domain: NDArray[np.bool_],
) -> None:
    """Draw one marker a hop; what lies beyond the frame is a triangle at its edge."""
    axes.axhline(0.0, color=GREY, linewidth=1, zorder=1)
    edge = reach_ev * 0.985
    for k, ion in enumerate(ions):
        outside = abs(residual_ev[k]) > reach_ev
        shape = "o" if not outside else "^" if residual_ev[k] > 0 else "v"
        axes.plot(
            [reference_ev[k]], [float(np.clip(residual_ev[k], -edge, edge))], marker=shape,
            markersize=MARK_PT - 0.7, linestyle="none", zorder=3, color=colours[ion], alpha=0.85,
            markeredgewidth=0.9, markerfacecolor=colours[ion] if in_domain[k] else "white", gid=f"hop-{k}",
        )  # fmt: skip
    barrier_axis(axes, "x", float(reference_ev.min()), float(reference_ev.max()))
    axes.set_ylim(-reach_ev, reach_ev)
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
    axes.set_xlabel("DFT barrier (eV)", fontsize=9, color=INK)
    axes.set_ylabel("predicted \N{MINUS SIGN} DFT barrier (eV)", fontsize=9, color=INK)


def _histogram(
    bars: Axes,
    residual_ev: NDArray[np.float64],
    reach_ev: float,
    ions: Sequence[str],
    colours: dict[str, str],
) -> None:
    """Draw how many hops err how much, ions stacked; what lies beyond counts in the outermost bins."""
    from matplotlib.ticker import MaxNLocator

    edges = np.linspace(-reach_ev, reach_ev, N_BINS + 1)
    clipped = np.clip(residual_ev, -reach_ev, reach_ev)
    named = np.asarray(ions)
    before = np.zeros(N_BINS)
    for ion, colour in colours.items():
        counts, _ = np.histogram(clipped[named == ion], bins=edges)
        bars.barh(edges[:-1], counts, height=np.diff(edges), left=before, align="edge", color=colour)
        before += counts
    bars.axhline(0.0, color=GREY, linewidth=1)
    for side in ("top", "right", "bottom"):
        bars.spines[side].set_visible(False)
    bars.spines["left"].set_color(GREY)
    bars.tick_params(axis="y", left=False, labelleft=False)
    bars.tick_params(axis="x", colors=INK, labelsize=8)
    bars.set_xlim(0, max(before.max(), 1) * 1.05)
    bars.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    bars.set_xlabel("hops", fontsize=9, color=INK)


def _figures(residual_ev: NDArray[np.float64], reach_ev: float) -> str:
    """Return the line of figures below the title."""
    beyond = int((np.abs(residual_ev) > reach_ev).sum())
    half = float(np.median(np.abs(residual_ev)))
    said = (
        f"{len(residual_ev)} hops, MAE {np.abs(residual_ev).mean():.3f} eV, mean residual "
        f"{residual_ev.mean():+.3f} eV, half within {half:.3f} eV"
    ).replace("-", "\N{MINUS SIGN}")
    return f"{said}; {beyond} beyond the frame (triangles)" if beyond else said


def _legend(bars: Axes, colours: dict[str, str], ions: Sequence[str], *, hollow: bool, beyond: bool) -> None:
    """Name the ions, and what hollow markers and triangles mean."""
    handles = [
        legend_entry(f"{ion} ({list(ions).count(ion)})", colour, marker="o")
        for ion, colour in colours.items()
    ]
    if hollow:
        handles.append(legend_entry("outside the\ntraining domain", INK, marker="o", filled=False))
    if beyond:
        handles.append(legend_entry("beyond the frame", INK, marker="^"))
    bars.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=8)


def _check(
    reference_ev: NDArray[np.float64],
    predicted_ev: NDArray[np.float64],
    ions: Sequence[str],
    in_domain: NDArray[np.bool_],
) -> None:
    """Refuse arrays that do not belong together, and what has no logarithm."""
    lengths = sorted({len(one) for one in (reference_ev, predicted_ev, ions, in_domain)})
    if lengths == [0] or len(lengths) > 1:
        raise FigureError(
            f"arrays of lengths {lengths} were given; give one entry a hop, and at least one hop"
        )
    least = float(np.min([reference_ev, predicted_ev]))
    if not least > 0:
        raise FigureError(f"a barrier of {least} eV was given; log axes show those above zero")
