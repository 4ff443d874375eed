"""What shuffling descriptors costs, as bars with their intervals: families on the left, single ones right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.reports.drawing import COLOURS, GREY, INK, LINE, blank
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 22
"""Bars of single descriptors, and the most families."""

WIDTH_IN, LABEL_IN, BAR_IN, TOP_IN, FOOT_IN = 11.0, 2.15, 0.2, 0.75, 0.55
GROUP_COLOURS = dict(zip(("local", "profile", "topology", "chemistry"), COLOURS, strict=False))


def importance_figure(found: dict[str, Any]) -> Figure:
    """Draw importances.

    Parameters
    ----------
    found : dict
        What `flows.importance.measure_importance` returns.

    Raises
    ------
    FigureError
        When there is nothing to draw.
    """
    families = [row for row in found["rows"] if row["what"] == "family"][:TOP]
    keys = [row for row in found["rows"] if row["what"] == "key"][:TOP]
    if not keys:
        raise FigureError("there is no descriptor to draw")
    bars = max(len(families), len(keys))
    height_in = TOP_IN + bars * BAR_IN + FOOT_IN
    figure, left = blank(WIDTH_IN, height_in)
    figure.delaxes(left)
    for nth, (title, rows) in enumerate((("families", families), ("single descriptors", keys))):
        low = (nth * WIDTH_IN / 2 + LABEL_IN) / WIDTH_IN
        box = (low, FOOT_IN / height_in, 0.485 - LABEL_IN / WIDTH_IN, 1 - (TOP_IN + FOOT_IN) / height_in)
        axes = figure.add_axes(box)
        _bars(axes, rows, bars)
        axes.set_title(title, fontsize=9, color=INK, loc="left")
    figure.text(
        0.01, 1 - 0.22 / height_in, "What shuffling a descriptor costs on hosts held out",
        fontsize=11, weight="bold", color=INK, va="center",
    )  # fmt: skip
    figure.text(0.01, 1 - 0.45 / height_in, _caption(found), fontsize=8, color=GREY, va="center")
    return figure


def _bars(axes: Axes, rows: Sequence[dict[str, Any]], bars: int) -> None:
    """Draw one panel, the greatest rise on top."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)
    for place, row in enumerate(rows):
        colour = GROUP_COLOURS.get(row["groups"][0], GREY) if len(row["groups"]) == 1 else GREY
        axes.barh(place, row["rise_ev"], height=0.7, color=colour, alpha=0.75)
        axes.plot(row["rise_ci_ev"], [place, place], color=INK, linewidth=1.0)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.tick_params(colors=INK, labelsize=7, length=0)
    axes.set_ylim(bars - 0.5, -0.5)
    axes.set_xlabel("rise in mean absolute error (eV)", fontsize=8, color=INK)


def _caption(found: dict[str, Any]) -> str:
    named = ", ".join(f"{group}" for group in found["groups"])
    return (
        f"{found['n']} hops of {found['n_hosts']} hosts of {found['dataset']}; groups {named}; "
        f"MAE {found['mae_ev']:.3f} eV; lines: 95% interval, whole hosts drawn"
    )
