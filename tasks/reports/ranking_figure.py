"""The ranking as a dot plot: a row a material, its barrier with the 90% interval, the fastest on top."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.reports.drawing import GREY, INK, LINE, MARK_PT, barrier_axis, blank, legend_entry
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIMENSIONS: dict[int, tuple[str, str]] = {1: ("#0072b2", "o"), 2: ("#d55e00", "s"), 3: ("#009e73", "D")}
"""Colour (told apart by colour-blind readers too) and marker of each percolation dimension."""

OTHER = ("#999999", "o")
ROWS = 60
"""Most materials in one figure."""

ROW_IN, ABOVE_IN, BELOW_IN = 0.195, 0.95, 0.8
AXES_IN, RIGHT_IN, EDGE_IN = 4.6, 1.65, 0.12
TEXT_PT = 7.5
CHARACTER_IN = TEXT_PT * 0.6 / 72
"""Width that a character takes at most, on average, in the default font."""

NAME_CHARACTERS = 30
WORD = re.compile(r"[A-Z][A-Za-z0-9()]*")
ELEMENT = re.compile(r"[A-Z][a-z]?")
COMPOUND = re.compile(r"\b(?:[A-Z][a-z]?\d*){3,}\b")
GREEK = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "beta": "\N{GREEK SMALL LETTER BETA}",
    "gamma": "\N{GREEK SMALL LETTER GAMMA}",
    "delta": "\N{GREEK SMALL LETTER DELTA}",
    "epsilon": "\N{GREEK SMALL LETTER EPSILON}",
}


@dataclass(frozen=True)
class Labels:
    """What stands beside one material's row."""

    formula: str
    name: str
    result: str


def ranking_figure(
    rows: Sequence[Mapping[str, Any]], *, max_rows: int = ROWS, note: str | None = None
) -> Figure:
    """Draw the percolation barriers of materials, the lowest on top.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the view `rankings`, in any order. Those without a barrier are counted below the plot.
    max_rows : int
        Most materials that are drawn; further ones are counted below the plot.
    note : str, optional
        What stands below the plot in place of these counts, where the rows are not all there are.

    Returns
    -------
    Figure
        The markers carry the materials' identifiers as their gid.

    Raises
    ------
    FigureError
        When no row has a barrier.
    """
    ranked = sorted(
        (row for row in rows if row["barrier_at_dim_ev"] is not None),
        key=lambda row: (row["barrier_at_dim_ev"], row["material_id"]),
    )
    shown = ranked[:max_rows]
    if not shown:
        raise FigureError(f"none of {len(rows)} materials has a barrier, so there is nothing to draw")
    labels = [labels_of(row) for row in shown]
    formula_in = CHARACTER_IN * max(len(label.formula) for label in labels) + EDGE_IN
    name_in = CHARACTER_IN * max(len(label.name) for label in labels) + EDGE_IN
    left_in = formula_in + name_in
    width_in = left_in + AXES_IN + RIGHT_IN
    height_in = ABOVE_IN + ROW_IN * len(shown) + BELOW_IN
    figure, axes = blank(width_in, height_in)
    figure.subplots_adjust(
        left=left_in / width_in,
        right=1 - RIGHT_IN / width_in,
        bottom=BELOW_IN / height_in,
        top=1 - ABOVE_IN / height_in,
    )
    _draw_rows(axes, shown)
    _write_columns(axes, labels, formula_in)
    _frame(axes, shown)
    left = EDGE_IN / width_in
    figure.text(left, 1 - 0.27 / height_in, title(shown), fontsize=12, weight="bold", color=INK, va="center")
    figure.text(left, 1 - 0.5 / height_in, subtitle(shown), fontsize=8, color=GREY, va="center")
    below = notes(rows, len(ranked) - len(shown)) if note is None else note
    figure.text(left, 0.14 / height_in, below, fontsize=7, color=GREY, va="center", gid="note")
    return figure


def title(shown: Sequence[Mapping[str, Any]]) -> str:
    """Return the title: which ions, and how many materials."""
    ions = ", ".join(sorted({row["working_ion"] for row in shown}))
    return f"{ions} migration in {len(shown)} materials, the fastest on top"


def subtitle(shown: Sequence[Mapping[str, Any]]) -> str:
    """Return the line below the title: what the marks are, and where they come from."""
    methods = ", ".join(sorted({f"{row['method']} {row['model_digest'][:8]}" for row in shown}))
    return f"Barrier over which the ions percolate, with its 90% interval; predicted by {methods}"


def notes(rows: Sequence[Mapping[str, Any]], not_shown: int) -> str:
    """Return what the plot leaves out, by reason, or that nothing was left out."""
    without = [row for row in rows if row["barrier_at_dim_ev"] is None]
    parts = []
    if without:
        counts = Counter(str(row["reason"]).replace("_", " ") for row in without)
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        parts.append(f"{len(without)} more without a barrier: {reasons}")
    if not_shown:
        parts.append(f"{not_shown} more with a higher barrier, not shown")
    return "; ".join(parts) if parts else f"all {len(rows)} materials have a barrier"


def labels_of(row: Mapping[str, Any]) -> Labels:
    """Return the text beside a material's row."""
    along = row["direction_conventional"]
    named = row["name"] is not None
    known_as = short_name(row["formula"], row["name"]) if named else shortened(row["material_id"])
    where = "" if along is None or along == "isotropic" else f" {along}"
    return Labels(
        formula=row["formula"],
        name=known_as or row["space_group_symbol"] or "",
        result=f"{row['barrier_at_dim_ev']:.2f} eV   {row['percolation_dim']}-D{where}",
    )


def short_name(formula: str, name: str) -> str:
    """Return a name without the formula, which stands beside it: ``olivine``, ``layered (O3)``.

    Another way to write the formula, such as LiVOPO4 for LiVPO5, is left out too.
    """
    elements = set(ELEMENT.findall(formula))
    rest = WORD.sub(lambda word: "" if set(ELEMENT.findall(word[0])) == elements else word[0], name)
    for word, letter in GREEK.items():
        rest = re.sub(rf"\b{word}\b", letter, rest)
    rest = re.sub(r"-(?=\s|$)", "", re.sub(r"\s+(?=,)", "", rest))
    return shortened(re.sub(r"\s+", " ", rest).strip(" ,-"))


def shortened(text: str) -> str:
    """Return a text that fits its column."""
    return text if len(text) <= NAME_CHARACTERS else text[: NAME_CHARACTERS - 1].rstrip() + "…"


def typeset(formula: str) -> str:
    """Return a formula with its numbers as subscripts."""
    return re.sub(r"(\d+(?:\.\d+)?)", r"$\\mathregular{_{\1}}$", formula)


def typeset_name(name: str) -> str:
    """Return a name with the numbers of compounds, and of screw axes, as subscripts."""
    plain = name.replace("$", r"\$")
    plain = re.sub(r"_(\d)", r"$\\mathregular{_{\1}}$", plain)
    return COMPOUND.sub(lambda word: typeset(word[0]), plain)


def _draw_rows(axes: Axes, shown: Sequence[Mapping[str, Any]]) -> None:
    """Draw a marker and an interval for every material, the first on top."""
    for place, row in enumerate(shown):
        colour, marker = DIMENSIONS.get(row["percolation_dim"], OTHER)
        axes.axhline(place, color=LINE, linewidth=0.5, zorder=0)
        if row["lower_ev"] is not None and row["upper_ev"] is not None:
            axes.plot(
                [row["lower_ev"], row["upper_ev"]], [place, place], color=colour, alpha=0.45, linewidth=2.2,
                solid_capstyle="round", zorder=2,
            )  # fmt: skip
        axes.plot(
            [row["barrier_at_dim_ev"]], [place], marker=marker, markersize=MARK_PT, linestyle="none",
            color=colour, markerfacecolor="white" if row["in_domain"] is False else colour, zorder=3,
            gid=row["material_id"],
        )  # fmt: skip
    axes.set_ylim(len(shown) - 0.4, -0.6)


def _write_columns(axes: Axes, labels: Sequence[Labels], formula_in: float) -> None:
    """Write formula and name left of the rows, and the result right of them."""
    name_at = -72 * formula_in

    def write(text: str, place: float, edge: float, offset_pt: float, colour: str, side: str) -> None:
        axes.annotate(
            text, (edge, place), xycoords=("axes fraction", "data"), xytext=(offset_pt, 0),
            textcoords="offset points", ha=side, va="center", fontsize=TEXT_PT, color=colour,
        )  # fmt: skip

    for place, label in enumerate(labels):
        write(typeset(label.formula), place, 0, -6, INK, "right")
        write(typeset_name(label.name), place, 0, name_at, GREY, "right")
        write(label.result, place, 1, 8, GREY, "left")
    axes.set_yticks([])


def _frame(axes: Axes, shown: Sequence[Mapping[str, Any]]) -> None:
    """Set the axis, its label and the legend."""
    names = ("lower_ev", "barrier_at_dim_ev", "upper_ev")
    values = [row[name] for row in shown for name in names if row[name] is not None and row[name] > 0]
    barrier_axis(axes, "x", min(values), max(values))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("migration barrier at the percolation dimension (eV), log scale", fontsize=8, color=INK)
    present = {row["percolation_dim"] for row in shown}
    handles = [
        legend_entry(f"percolates in {dim}-D", colour, marker=marker, line_width=2.2)
        for dim, (colour, marker) in DIMENSIONS.items()
        if dim in present
    ]
    if any(row["in_domain"] is False for row in shown):
        handles.append(legend_entry("outside the training domain", INK, marker="o", filled=False))
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False,
        fontsize=TEXT_PT, borderaxespad=0.2, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
