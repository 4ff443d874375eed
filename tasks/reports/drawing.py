"""What all figures share: a look, a logarithmic axis of barriers, and files that are the same each time.

Figures are drawn on canvases of their own, never on pyplot's. matplotlib is imported when one is drawn: its
import looks for fonts and writes a cache.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK, GREY, LINE = "#222222", "#6e6e6e", "#e4e4e4"
FORMATS = (".svg", ".png")
DOTS_AN_INCH = 150
TICKS_EV = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Where a log axis of barriers may be labelled."""

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6bb3", "#555555", "#8c510a",
    "#b5b82e",
)  # fmt: skip
"""Told apart by colour-blind readers too; ions in the order of how common they are take them in turn."""

MARK_PT = 5.2
"""Size of a marker."""

MARGIN = 1.12
"""Factor by which a log axis reaches beyond what it shows."""


def blank(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return an empty figure of a size in inches, with one axes and a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DOTS_AN_INCH)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8)
    return figure, axes


def barrier_axis(axes: Axes, which: str, low_ev: float, high_ev: float) -> None:
    """Make an axis logarithmic over a range of barriers, labelled at round numbers of eV.

    Parameters
    ----------
    axes : Axes
        Where.
    which : str
        ``x`` or ``y``.
    low_ev, high_ev : float
        Least and greatest barrier that must show, above zero.
    """
    from matplotlib.ticker import FuncFormatter, NullLocator

    low_ev, high_ev = low_ev / MARGIN, high_ev * MARGIN
    ticks = [tick for tick in TICKS_EV if low_ev <= tick <= high_ev]
    axis = axes.xaxis if which == "x" else axes.yaxis
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low_ev, high_ev)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low_ev, high_ev)
    axis.set_ticks(ticks)
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axes.grid(visible=True, axis="x" if which == "x" else "y", color=LINE, linewidth=0.8)


def ion_colours(ions: Sequence[str]) -> dict[str, str]:
    """Return the colour of each ion, the commonest first."""
    names = sorted(set(ions), key=lambda ion: (-list(ions).count(ion), ion))
    return {ion: COLOURS[place % len(COLOURS)] for place, ion in enumerate(names)}


def legend_entry(
    label: str, colour: str, *, marker: str = "", line_width: float = 0.0, filled: bool = True
) -> Line2D:
    """Return what a legend shows for a kind of mark or line."""
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], label=label, color=colour, marker=marker, markersize=MARK_PT,
        markerfacecolor=colour if filled else "white", linewidth=line_width,
        linestyle="-" if line_width > 0 else "none",
    )  # fmt: skip


def check_path(path: Path) -> None:
    """Refuse a file name whose ending names no format that can be written.

    Raises
    ------
    FigureError
        With the endings that there are.
    """
    if path.suffix.lower() not in FORMATS:
        raise FigureError(f"the figure {path} cannot be written: its name must end in {' or '.join(FORMATS)}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or PNG, by the ending of its name; the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
        What to write.
    path : Path
        Where; missing folders are made.

    Raises
    ------
    FigureError
        When the ending is another one, or the file cannot be written.
    """
    import matplotlib as mpl

    check_path(path)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    # The salt makes the names inside an SVG the same each time; they are random otherwise.
    with mpl.rc_context({"svg.hashsalt": "lihop", "svg.fonttype": "path"}):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, format=path.suffix.lower().removeprefix("."), metadata=metadata)
        except OSError as error:
            raise FigureError(f"the figure {path} cannot be written: {error.strerror}") from error


def data_uri(figure: Figure, *, dots_an_inch: int = DOTS_AN_INCH) -> str:
    """Return a figure as a PNG within a ``data:`` address, so that it stands in a page by itself.

    Parameters
    ----------
    figure : Figure
        What to show.
    dots_an_inch : int
        How fine it is.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_an_inch, metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
