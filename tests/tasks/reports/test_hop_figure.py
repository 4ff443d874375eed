"""The picture of a hop: bars, lines and corners in place, texts that can be read, the same bytes twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from tasks.reports import hop_text as text
from tasks.reports.figures import hop_figure, save
from tasks.reports.hop_barcode import DRAWN_ANG
from tests.campaigns import walled
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, olivine
from tests.tasks.reports.hops import hop_record, stored_hops


@pytest.fixture(scope="module")
def layered(candidate_of):
    candidate = candidate_of(lithium_cobaltate())
    rows, _ = stored_hops(candidate, cutoff_ang=3.0)
    return [hop_record(candidate, row, number, "layered LiCoO2 (O3)") for number, row in enumerate(rows, 1)]


@pytest.fixture(scope="module")
def straight(candidate_of):
    candidate = candidate_of(olivine(), "a_name_of_a_file.cif")
    rows, _ = stored_hops(candidate, barriers=False, path="straight")
    return hop_record(candidate, rows[0])


@pytest.fixture(scope="module")
def spinel(candidate_of):
    candidate = candidate_of(crystals.spinel())
    rows, _ = stored_hops(candidate, sites="bvse")
    return hop_record(candidate, rows[0])


@pytest.fixture(scope="module")
def blocked(candidate_of):
    candidate = candidate_of(walled())
    rows, _ = stored_hops(candidate, path="straight")
    return hop_record(candidate, rows[0])


def written(figure):
    """Texts that show, with the boxes they take."""
    figure.canvas.draw()
    hidden = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {id(tick.label1), id(tick.label2)}
    return [
        (found.get_text(), found.get_window_extent())
        for found in figure.findobj(Text)
        if found.get_text() and found.get_visible() and id(found) not in hidden
    ]


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


class TestReading:
    @pytest.mark.parametrize("number", [0, 1])
    def test_of_relaxed_hops(self, layered, number):
        self.check(layered[number])

    def test_of_a_straight_one(self, straight):
        self.check(straight)

    def test_of_an_empty_end(self, spinel):
        self.check(spinel)

    def test_of_a_blocked_one(self, blocked):
        self.check(blocked)

    def check(self, hop):
        figure = hop_figure(hop)
        found = written(figure)
        for said, box in found:
            assert min(box.x0, box.y0) >= 0, said
            assert box.x1 <= figure.bbox.width, said
            assert box.y1 <= figure.bbox.height, said
        for (one, a), (other, b) in itertools.combinations(found, 2):
            wide = min(a.x1, b.x1) - max(a.x0, b.x0)
            high = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert wide < 1.0 or high < 1.5, f"{one!r} overlaps {other!r}"


class TestParts:
    def test_every_bar_is_drawn_to_its_length(self, layered):
        figure = hop_figure(layered[0])
        barcodes = figure.axes[4:]
        # From the lowest panel up.
        for axes, cloud in zip(barcodes, ("framework", "cation", "anion"), strict=True):
            for dimension in ("h0", "h1", "h2"):
                drawn = sorted(tuple(line.get_xdata()) for line in lines(axes, f"{cloud}-{dimension}"))
                bars = sorted(tuple(bar) for bar in layered[0]["bars"][cloud][dimension])
                assert drawn == [bar for bar in bars if bar[1] - bar[0] >= DRAWN_ANG]
            rows = [line.get_ydata()[0] for line in axes.lines if (line.get_gid() or "").startswith(cloud)]
            assert len(set(rows)) == len(rows)
            counts = {t.get_text() for t in axes.texts if t.get_gid() == "count"}
            assert f"H0: {len(lines(axes, f'{cloud}-h0'))}" in counts

    def test_curves_are_the_distances_and_energies(self, layered):
        hop = layered[0]
        distances, energies = hop_figure(hop).axes[:2]
        points = hop["path"]["points"]
        for role, count in (("anions", 6), ("cations", 4)):
            for rank in range(count):
                (line,) = lines(distances, f"{role}-{rank + 1}")
                assert list(line.get_xdata()) == [point["along_ang"] for point in points]
                assert list(line.get_ydata()) == [point[role][rank]["distance_ang"] for point in points]
        (line,) = lines(energies, "energy")
        assert list(line.get_ydata()) == [point["energy_ev"] for point in points]
        (mark,) = lines(distances, "d_min")
        top = hop["states"]["transition"]
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (top["along_ang"], top["d_min_ang"])
        legend = [entry.get_text() for entry in distances.get_legend().get_texts()]
        assert legend[0] == "nearest anion (O)"
        assert (distances.get_ylabel(), energies.get_ylabel()) == ("distance from the ion (Å)", "BVSE (eV)")

    def test_polyhedra_have_their_corners_edges_and_labels(self, layered):
        hop = layered[0]
        panels = dict(zip(("initial", "transition"), hop_figure(hop).axes[2:4], strict=True))
        for name, axes in panels.items():
            state = hop["states"][name]
            assert len(lines(axes, "anion")) == len(lines(axes, "bond")) == len(state["anions"])
            labels = [t.get_text() for t in axes.texts if t.get_gid() == "label"]
            assert labels == [f"O {anion['distance_ang']:.2f}" for anion in state["anions"]]
        assert len(lines(panels["initial"], "edge")) == 12
        # To one scale, so that they can be compared.
        scales = {round(np.ptp(axes.get_xlim()) / axes.get_position().width, 9) for axes in panels.values()}
        assert len(scales) == 1

    def test_the_further_vacancy_is_drawn(self, layered):
        for hop, count in zip(layered, (0, 1), strict=True):
            for axes in hop_figure(hop).axes[2:4]:
                assert len(lines(axes, "vacancy")) == count
                assert [t.get_text() for t in axes.texts].count("vacant") == count

    def test_titles(self, layered, straight):
        title, which, known = (t.get_text() for t in hop_figure(layered[1]).texts if t.get_gid() is None)
        assert title == "A hop of Li in LiCoO$\\mathregular{_{2}}$, layered (O3)"
        assert which == (
            "m_0_0_-1_0_1_v0_-1_1_0, 2.816 Å, 6 in the stored cell, divacancy, 0[-1 1 0] vacant too"
        )
        assert known.startswith(
            "barrier 0.310 eV (90%: 0.200 to 0.500) by cnn 0123456789ab, outside the training domain; path of"
        )
        _, which, known = (t.get_text() for t in hop_figure(straight).texts if t.get_gid() is None)
        assert which.startswith("a_name_of_a_file.cif_")
        assert known == "no barrier is known; straight path of 3.005 Å"

    def test_a_straight_path_has_one_panel(self, straight):
        figure = hop_figure(straight)
        assert len(figure.axes) == 6
        assert not [line for axes in figure.axes for line in lines(axes, "energy")]
        assert "middle (as transition state)" in [t.get_text() for t in figure.axes[1 + 1].texts]
        assert figure.axes[0].get_xlabel() == "distance along the path (Å)"

    @pytest.mark.parametrize("ending", ["svg", "png"])
    def test_the_same_bytes_twice(self, layered, tmp_path, ending):
        for name in ("a", "b"):
            save(hop_figure(layered[0]), tmp_path / f"{name}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()

    def test_a_dollar_in_a_name_is_no_formula(self, straight):
        figure = hop_figure(straight | {"edge_id": "odd $name_1"})
        figure.canvas.draw()


class TestText:
    def test_states_side_by_side(self, layered):
        rows = text.state_rows(layered[0])
        assert [row["state"] for row in rows] == ["initial", "transition", "final"]
        assert rows[0]["corners"] == "O 1.92 1.92 1.92 1.92 1.92 1.92"
        assert set(text.STATE_COLUMNS) <= set(rows[0])
        assert text.corners(
            [{"element": e, "distance_ang": d} for e, d in (("O", 2.0), ("F", 2.1), ("O", 2.25))]
        ) == ("O 2.00 2.25, F 2.10")

    def test_bars_are_summed_up(self):
        bars = {"atoms": 3, "elements": {"O": 2, "S": 1}, "h0": [[0.0, 3.0], [0.0, 2.0]], "h1": []}
        first, second = text.bar_rows({"bars": {"anion": bars}})
        assert (first["atoms"], first["count"], first["births"], first["deaths"]) == (
            "2 O, 1 S", 2, "0.00", "2.00 to 3.00",
        )  # fmt: skip
        assert (first["longest_ang"], first["mean_ang"]) == (3.0, 2.5)
        assert (second["count"], second["births"], second["longest_ang"], second["mean_ang"]) == (
            0, "-", None, None,
        )  # fmt: skip

    def test_what_is_said_of_barriers_and_paths(self, layered, straight):
        assert text.barrier_said(straight) == "no barrier is known"
        refined = {"barrier_ev": 0.5, "lower_ev": None, "upper_ev": None, "method": "chgnet-neb",
                   "model_digest": None, "in_domain": None, "converged": False}  # fmt: skip
        assert text.barrier_said({"barrier": refined}) == "barrier 0.500 eV by chgnet-neb, unconverged"
        path = layered[0]["path"] | {"kind": "bvse_fixed_ends", "converged": False}
        assert text.path_said({"path": path}).endswith(
            "relaxed under the bond-valence site energy between fixed ends, unconverged"
        )
        missing = straight["path"] | {"missing_parameters": ["Li-Te"]}
        assert text.path_said({"path": missing}).endswith("no bond-valence parameters for Li-Te")
