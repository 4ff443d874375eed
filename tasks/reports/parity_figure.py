"""Predicted against reference barriers, hop by hop, on logarithmic axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.reports.drawing import GREY, INK, MARK_PT, barrier_axis, blank, ion_colours, legend_entry
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MANY = 100
"""Of more hops than this the intervals are drawn fainter and the markers smaller."""

SIDE_IN, LEGEND_IN, TITLE_IN, LABEL_IN, EDGE_IN = 5.0, 1.5, 0.65, 0.6, 0.1


def parity_figure(
    reference_ev: NDArray[np.float64],
    predicted_ev: NDArray[np.float64],
    lower_ev: NDArray[np.float64],
    upper_ev: NDArray[np.float64],
    *,
    ions: Sequence[str],
    in_domain: NDArray[np.bool_],
    title: str,
) -> Figure:
    """Draw predicted against reference barriers with their intervals.

    Parameters
    ----------
    reference_ev, predicted_ev : ndarray of shape (n,)
        Barriers in eV, above zero.
    lower_ev, upper_ev : ndarray of shape (n,)
        The 90% interval of each prediction.
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
    _check(reference_ev, predicted_ev, lower_ev, upper_ev, ions, in_domain)
    width_in, height_in = LABEL_IN + SIDE_IN + LEGEND_IN, LABEL_IN + SIDE_IN + TITLE_IN
    figure, axes = blank(width_in, height_in)
    figure.subplots_adjust(
        left=LABEL_IN / width_in,
        right=1 - LEGEND_IN / width_in,
        bottom=LABEL_IN / height_in,
        top=1 - TITLE_IN / height_in,
    )
    low, high = float(np.min([reference_ev, predicted_ev])), float(np.max([reference_ev, predicted_ev]))
    axes.plot([low / 2, high * 2], [low / 2, high * 2], color=GREY, linewidth=1, zorder=1)
    colours = ion_colours(ions)
    share = min(MANY / len(ions), 1.0)
    faint, mark_pt = max(0.3 * share, 0.07), MARK_PT * max(share**0.25, 0.7)
    for k, ion in enumerate(ions):
        # What reaches beyond the frame is cut there: a wide interval must not squeeze all others.
        axes.plot(
            [reference_ev[k]] * 2, [lower_ev[k], upper_ev[k]], color=colours[ion], alpha=faint, linewidth=1.2
        )
        axes.plot(
            [reference_ev[k]], [predicted_ev[k]], marker="o", markersize=mark_pt, linestyle="none", zorder=3,
            color=colours[ion], markerfacecolor=colours[ion] if in_domain[k] else "white", gid=f"hop-{k}",
        )  # fmt: skip
    for which in ("x", "y"):
        barrier_axis(axes, which, low, high)
    axes.set_aspect("equal")
    axes.set_xlabel("DFT barrier (eV)", fontsize=9, color=INK)
    axes.set_ylabel("predicted barrier (eV)", fontsize=9, color=INK)
    left = EDGE_IN / width_in
    figure.text(left, 1 - 0.2 / height_in, title, fontsize=11, weight="bold", color=INK, va="center")
    figures = _figures(reference_ev, predicted_ev, lower_ev, upper_ev)
    figure.text(left, 1 - 0.44 / height_in, figures, fontsize=8, color=GREY, va="center")
    _legend(axes, colours, ions, hollow=not bool(np.all(in_domain)))
    return figure


def _figures(
    reference_ev: NDArray[np.float64],
    predicted_ev: NDArray[np.float64],
    lower_ev: NDArray[np.float64],
    upper_ev: NDArray[np.float64],
) -> str:
    """Return the line of figures below the title."""
    mae_ev = float(np.abs(predicted_ev - reference_ev).mean())
    inside = int(((reference_ev >= lower_ev) & (reference_ev <= upper_ev)).sum())
    return (
        f"{len(reference_ev)} hops, MAE {mae_ev:.3f} eV; {inside} of {len(reference_ev)} within their 90% "
        "interval (bars)"
    )


def _legend(axes: Axes, colours: dict[str, str], ions: Sequence[str], *, hollow: bool) -> None:
    """Name the ions, the diagonal, and what hollow markers mean."""
    handles = [
        legend_entry(f"{ion} ({list(ions).count(ion)})", colour, marker="o")
        for ion, colour in colours.items()
    ]
    if hollow:
        handles.append(legend_entry("outside the\ntraining domain", INK, marker="o", filled=False))
    handles.append(legend_entry("predicted = DFT", GREY, line_width=1.0))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)


def _check(
    reference_ev: NDArray[np.float64],
    predicted_ev: NDArray[np.float64],
    lower_ev: NDArray[np.float64],
    upper_ev: NDArray[np.float64],
    ions: Sequence[str],
    in_domain: NDArray[np.bool_],
) -> None:
    """Refuse arrays that do not belong together, and what has no logarithm."""
    given = (reference_ev, predicted_ev, lower_ev, upper_ev, ions, in_domain)
    lengths = sorted({len(one) for one in given})
    if lengths in ([], [0]) or len(lengths) > 1:
        raise FigureError(
            f"arrays of lengths {lengths} were given; give one entry a hop, and at least one hop"
        )
    least = float(np.min([reference_ev, predicted_ev]))
    if not least > 0:
        raise FigureError(f"a barrier of {least} eV was given; log axes show those above zero")
