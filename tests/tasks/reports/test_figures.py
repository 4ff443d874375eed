"""Figures: a mark a material or hop, units on the axes, nothing dropped in silence, the same bytes twice."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tasks.reports.errors import FigureError
from tasks.reports.figures import parity_figure, ranking_figure, residual_figure, save
from tasks.reports.ranking_figure import DIMENSIONS, short_name, typeset, typeset_name


def row(material_id="m1", barrier_ev=0.4, **changes):
    known = barrier_ev is not None
    return {
        "material_id": material_id,
        "formula": "LiFePO4",
        "name": "olivine LiFePO4 (triphylite)",
        "working_ion": "Li",
        "percolation_dim": 1 if known else None,
        "barrier_at_dim_ev": barrier_ev,
        "lower_ev": barrier_ev * 0.5 if known else None,
        "upper_ev": barrier_ev * 2.5 if known else None,
        "direction_conventional": "[010]" if known else None,
        "in_domain": True if known else None,
        "space_group_symbol": "Pnma",
        "reason": None if known else "no_hops",
        "method": "cnn",
        "model_digest": "e34a080706b0",
    } | changes


def marks(figure):
    """The markers of materials or hops, by their gid."""
    return {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid() is not None}


def texts(figure):
    return [text.get_text() for text in [*figure.texts, *figure.axes[0].texts]]


def note(figure):
    return next(text.get_text() for text in figure.texts if text.get_gid() == "note")


ROWS = [row("slow", 0.9, percolation_dim=3), row("fast", 0.2), row("mid", 0.5, percolation_dim=2)]


def test_a_mark_for_every_material_best_on_top():
    figure = ranking_figure(ROWS)
    found = marks(figure)
    places = {name: float(line.get_ydata()[0]) for name, line in found.items()}
    assert [name for name, _ in sorted(places.items(), key=lambda item: item[1])] == ["fast", "mid", "slow"]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top  # so that place 0 is on top
    assert [float(found[name].get_xdata()[0]) for name in ("fast", "mid", "slow")] == [0.2, 0.5, 0.9]


def test_marks_are_coloured_by_dimension():
    found = marks(ranking_figure(ROWS))
    for name, dim in {"fast": 1, "mid": 2, "slow": 3}.items():
        assert to_hex(found[name].get_color()) == DIMENSIONS[dim][0]
    legend = [text.get_text() for text in ranking_figure(ROWS).axes[0].get_legend().get_texts()]
    assert legend == ["percolates in 1-D", "percolates in 2-D", "percolates in 3-D"]


def test_intervals_are_drawn_from_lower_to_upper():
    lines = [tuple(map(float, line.get_xdata())) for line in ranking_figure(ROWS).axes[0].lines]
    for one in ROWS:
        assert (one["lower_ev"], one["upper_ev"]) in lines


def test_no_interval_is_no_bar():
    figure = ranking_figure([row(lower_ev=None, upper_ev=None)])
    spans = [line for line in figure.axes[0].lines if line.get_alpha() is not None]
    assert spans == []


def test_outside_the_domain_is_hollow_and_explained():
    figure = ranking_figure([row("in"), row("out", in_domain=False), row("unknown", in_domain=None)])
    found = marks(figure)
    assert found["out"].get_markerfacecolor() == "white"
    assert found["in"].get_markerfacecolor() == found["unknown"].get_markerfacecolor() == DIMENSIONS[1][0]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[-1] == "outside the training domain"


def test_axis_is_logarithmic_in_ev():
    axes = ranking_figure(ROWS).axes[0]
    assert axes.get_xscale() == "log"
    assert "(eV)" in axes.get_xlabel()
    low, high = axes.get_xlim()
    assert low < 0.1
    assert high > 2.25


def test_what_has_no_barrier_is_counted_by_reason():
    rows = [*ROWS, row("a", None), row("b", None), row("c", None, reason="time_limit")]
    figure = ranking_figure(rows)
    assert len(marks(figure)) == 3
    assert note(figure) == "3 more without a barrier: 2 no hops, 1 time limit"


def test_what_does_not_fit_is_counted():
    figure = ranking_figure(ROWS, max_rows=2)
    assert marks(figure).keys() == {"fast", "mid"}
    assert note(figure) == "1 more with a higher barrier, not shown"


def test_nothing_to_draw_says_so():
    with pytest.raises(FigureError, match="none of 2 materials has a barrier"):
        ranking_figure([row("a", None), row("b", None)])


def test_labels_do_not_overlap():
    figure = ranking_figure([row(f"m{k}", 0.2 + 0.01 * k, formula="Li3Fe2(PO4)3") for k in range(55)])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for k, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])


@pytest.mark.parametrize(
    ("formula", "name", "expected"),
    [
        ("LiFePO4", "olivine LiFePO4 (triphylite)", "olivine (triphylite)"),
        ("Li3V2(PO4)3", "monoclinic Li3V2(PO4)3 (anti-NASICON)", "monoclinic (anti-NASICON)"),
        ("LiVPO5", "epsilon-LiVOPO4", "\N{GREEK SMALL LETTER EPSILON}"),
        ("LiMnO2", "lithiated tetragonal spinel Li2Mn2O4", "lithiated tetragonal spinel"),
        ("Li2NiO2", "Li2NiO2, Li2CuO2 type", "Li2CuO2 type"),
        ("LiMnBO3", "hexagonal LiMnBO3, P-6", "hexagonal, P-6"),
        ("LiX", "a name that is much longer than its column", "a name that is much longer th…"),
    ],
)
def test_short_names(formula, name, expected):
    assert short_name(formula, name) == expected


def test_names_are_typeset():
    assert typeset("Li2O") == r"Li$\mathregular{_{2}}$O"
    assert typeset_name("Pmn2_1") == r"Pmn2$\mathregular{_{1}}$"
    assert typeset_name("P-6 in $ and O3") == r"P-6 in \$ and O3"


def test_unnamed_materials_go_by_their_identifier():
    assert "file $1.cif".replace("$", r"\$") in texts(ranking_figure([row("file $1.cif", name=None)]))


ARRAYS = {
    "reference_ev": np.array([0.2, 0.5, 2.0]),
    "predicted_ev": np.array([0.3, 0.4, 2.5]),
    "lower_ev": np.array([0.1, 0.45, 1.0]),
    "upper_ev": np.array([0.6, 0.6, 5.0]),
}


def parity(**changes):
    given = {**ARRAYS, "ions": ("Li", "Na", "Li"), "in_domain": np.array([True, True, False])} | changes
    return parity_figure(**given, title="a split")


def test_parity_shows_every_hop():
    figure = parity()
    points = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks(figure).values()]
    assert points == [(0.2, 0.3), (0.5, 0.4), (2.0, 2.5)]
    axes = figure.axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlabel() == "DFT barrier (eV)"
    assert axes.get_ylabel() == "predicted barrier (eV)"
    assert axes.get_xlim() == axes.get_ylim()


def test_parity_says_what_it_measures():
    (line,) = [text for text in texts(parity()) if "MAE" in text]
    assert line.startswith("3 hops, MAE 0.233 eV; 3 of 3 within")
    legend = [text.get_text() for text in parity().axes[0].get_legend().get_texts()]
    assert legend == ["Li (2)", "Na (1)", "outside the\ntraining domain", "predicted = DFT"]


def test_parity_refuses_what_it_cannot_show():
    with pytest.raises(FigureError, match="lengths"):
        parity(ions=("Li",))
    with pytest.raises(FigureError, match="above zero"):
        parity(reference_ev=np.array([0.0, 1.0, 1.0]))


def test_intervals_of_many_hops_are_fainter():
    def strength(repeats):
        many = {name: np.tile(values, repeats) for name, values in ARRAYS.items()}
        figure = parity(**many, ions=("Li",) * 3 * repeats, in_domain=np.ones(3 * repeats, dtype=bool))
        bars = [line for line in figure.axes[0].lines if line.get_alpha() is not None]
        return bars[0].get_alpha(), next(iter(marks(figure).values())).get_markersize()

    few, many = strength(1), strength(200)
    assert many[0] < few[0]
    assert many[1] < few[1]


def residuals(**changes):
    given = {name: ARRAYS[name] for name in ("reference_ev", "predicted_ev")}
    given |= {"ions": ("Li", "Na", "Li"), "in_domain": np.array([True, True, False])} | changes
    return residual_figure(**given, title="a split")


def test_residuals_show_every_hop():
    figure = residuals()
    found = marks(figure)
    points = [(float(line.get_xdata()[0]), round(float(line.get_ydata()[0]), 6)) for line in found.values()]
    assert points[:2] == [(0.2, 0.1), (0.5, -0.1)]
    assert found["hop-2"].get_markerfacecolor() == "white"
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_yscale() == "linear"
    assert axes.get_xlabel() == "DFT barrier (eV)"
    assert axes.get_ylabel().endswith("DFT barrier (eV)")


def test_large_residuals_stay_at_the_edge_and_are_counted():
    n = 200
    predicted = np.full(n, 1.0) + np.where(np.arange(n) % 2, 0.1, -0.1)
    predicted[:2] = 9.0, 5.0
    reference = np.full(n, 1.0)
    reference[2] = 8.0
    figure = residuals(
        reference_ev=reference, predicted_ev=predicted, ions=("Li",) * n, in_domain=np.ones(n, dtype=bool)
    )
    found = marks(figure)
    assert len(found) == n
    _, top = figure.axes[0].get_ylim()
    assert [found[f"hop-{k}"].get_marker() for k in range(4)] == ["^", "^", "v", "o"]
    assert all(abs(float(line.get_ydata()[0])) <= top for line in found.values())
    (said,) = [text for text in texts(figure) if "MAE" in text]
    assert said.endswith("3 beyond the frame (triangles)")


def test_the_histogram_counts_every_hop_by_ion():
    figure = residuals(predicted_ev=np.array([0.3, 0.4, 40.0]))
    bars = figure.axes[1].patches
    by_colour = {}
    for bar in bars:
        colour = to_hex(bar.get_facecolor())
        by_colour[colour] = by_colour.get(colour, 0) + bar.get_width()
    lithium, sodium = (to_hex(marks(figure)[f"hop-{k}"].get_color()) for k in (0, 1))
    assert by_colour == {lithium: 2, sodium: 1}
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert legend[:3] == ["Li (2)", "Na (1)", "outside the\ntraining domain"]


def test_residuals_refuse_what_they_cannot_show():
    with pytest.raises(FigureError, match="lengths"):
        residuals(ions=("Li",))
    with pytest.raises(FigureError, match="above zero"):
        residuals(reference_ev=np.array([0.0, 1.0, 1.0]))


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_same_bytes_twice(tmp_path, ending):
    for name in ("a", "b"):
        save(ranking_figure(ROWS), tmp_path / "new" / f"{name}.{ending}")
    first, second = ((tmp_path / "new" / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(b"<?xml" if ending == "svg" else b"\x89PNG")
    assert b"<dc:date>" not in first


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(FigureError, match=r"\.svg or \.png"):
        save(ranking_figure(ROWS), tmp_path / "ranking.pdf")
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FigureError, match="cannot be written"):
        save(ranking_figure(ROWS), tmp_path / "file" / "ranking.svg")


def test_importing_loads_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    code = f"""
import sys
from pathlib import Path
from tasks.reports.figures import ranking_figure, save
if "matplotlib" in sys.modules:
    sys.exit("importing the figures imports matplotlib")
save(ranking_figure({[row()]!r}), Path({str(tmp_path / "a.svg")!r}))
if "matplotlib.pyplot" in sys.modules:
    sys.exit("drawing imports pyplot")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
