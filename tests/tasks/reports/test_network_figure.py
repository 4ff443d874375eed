"""The picture of a hop network: everything in the cell, in place, told apart, and the same bytes twice."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from pymatgen.core import Lattice, Structure

from tasks.reports.errors import FigureError
from tasks.reports.figures import network_figure, save
from tasks.reports.network_legend import HALO_PT, MOST_HOPS, THIN_PT, WIDE_PT
from tasks.reports.network_scene import best_view, runs, scene, view
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, lithium_manganate, olivine
from tests.tasks.reports.networks import network_record


@pytest.fixture(scope="module")
def olivine_network():
    return network_record(olivine(), [0.3, 1.6, 1.3, 1.4])


@pytest.fixture(scope="module")
def layered_network():
    return network_record(lithium_cobaltate().get_primitive_structure())


@pytest.fixture(scope="module")
def spinel_network():
    crystal = crystals.spinel("Li", "Mn", 8.247)
    return network_record(crystal, empty_frac=crystals.empty_octahedra(crystal), cutoff_ang=3.6)


def lines(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def legend(figure):
    return [entry.get_text() for entry in figure.axes[0].get_legend().get_texts()]


class TestScene:
    def test_sites_of_a_conventional_cell_corners_included(self, spinel_network):
        drawn = scene(spinel_network)
        inside = [spot for spot in drawn.spots if spot.inside]
        # Lithium of the spinel forms the diamond lattice: 8 corners, 6 faces and 4 inside. With the origin of
        # the cell shifted by an eighth of the diagonal, as in the second setting, 8 lie inside.
        assert drawn.times == (1, 1, 1)
        assert sum(spot.kind == "occupied" for spot in inside) in {8, 18}
        assert sum(spot.kind == "empty" for spot in inside) >= 16

    def test_each_spot_once(self, layered_network):
        drawn = scene(layered_network)
        places = np.array([spot.place_ang for spot in drawn.spots])
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9.0 * np.eye(len(places))
        assert gaps.min() > 1.0

    def test_lines_are_as_long_as_their_hops_and_end_on_spots(self, layered_network, spinel_network):
        for network in (layered_network, spinel_network):
            drawn = scene(network)
            lengths = {hop["number"]: hop["distance_ang"] for hop in network["hops"]}
            places = np.array([spot.place_ang for spot in drawn.spots if spot.kind != "host"])
            assert {line.hop for line in drawn.lines} == set(lengths)
            for line in drawn.lines:
                length = np.linalg.norm(line.end_ang - line.start_ang)
                assert length == pytest.approx(lengths[line.hop], abs=1e-3)
                for end in (line.start_ang, line.end_ang):
                    assert np.linalg.norm(places - end, axis=1).min() < 0.02

    def test_small_cells_are_repeated(self, layered_network):
        # LiCoO2 is stored as one formula unit; its conventional cell is 2.8 by 2.8 by 14 Å.
        assert scene(layered_network).times == (2, 2, 1)

    def test_hops_that_are_used_are_drawn_whole(self, olivine_network):
        drawn = scene(olivine_network)
        used = [line for line in drawn.lines if line.hop == 1]
        assert runs(olivine_network["hops"][0], olivine_network)
        assert not any(runs(hop, olivine_network) for hop in olivine_network["hops"][1:])
        # Chains along b at the four edges of the cell and through its middle, two hops each.
        assert len(used) == 10

    def test_divacancy_lines_know_their_third_site(self, layered_network):
        pairs = {hop["number"] for hop in layered_network["hops"] if hop["vacancy"]}
        drawn = scene(layered_network)
        for line in drawn.lines:
            assert (line.by_ang is not None) == (line.hop in pairs)
            if line.by_ang is not None:
                for end in (line.start_ang, line.end_ang):
                    assert np.linalg.norm(line.by_ang - end) == pytest.approx(2.8161, abs=1e-3)


class TestView:
    @pytest.mark.parametrize("uvw", [(1, 0, 0), (0, 0, 1), (1, 1, 1), (-1, 0, 1), (0, 1, -1)])
    def test_axes_are_a_rotation(self, uvw):
        axes = view(Lattice.monoclinic(4.9, 8.5, 5.0, 109.5).matrix, uvw)
        assert axes @ axes.T == pytest.approx(np.eye(3))
        assert np.linalg.det(axes) == pytest.approx(1.0)

    def test_a_chain_is_not_looked_at_end_on(self, olivine_network):
        axes = best_view(scene(olivine_network), {1: 1.0})
        along_b = np.array(olivine_network["lattice_ang"][1])
        assert np.linalg.norm(axes[:2] @ along_b) > 0.9 * np.linalg.norm(along_b)

    def test_nothing_to_see_is_still_a_view(self):
        network = network_record(olivine(), cutoff_ang=2.0)
        axes = best_view(scene(network), {})
        assert axes @ axes.T == pytest.approx(np.eye(3))


class TestFigure:
    def test_every_hop_has_lines_a_number_and_a_legend(self, olivine_network):
        figure = network_figure(olivine_network)
        for number in (1, 2, 3, 4):
            assert lines(figure, f"hop-{number}")
        numbers = [t.get_text() for t in figure.axes[0].texts if t.get_gid() == "number"]
        assert sorted(numbers) == ["1", "2", "3", "4"]
        words = legend(figure)
        assert words[0].startswith("hop 1: 0.30 eV, 3.00 Å, 4 in the stored cell\nrate-limiting, opens 1-D")
        assert [entry.split(":")[0] for entry in words[:4]] == ["hop 1", "hop 3", "hop 4", "hop 2"]
        assert "site of Li" in words
        assert words[-1] == "host: Fe, P, O"
        title, subtitle = (entry.get_text() for entry in figure.texts)
        assert title == "Hops of Li in LiFePO$\\mathregular{_{4}}$"
        assert subtitle == "They percolate in 1-D along [010] over 0.30 eV"

    def test_width_tells_use_and_a_halo_the_rate_limiting_hop(self, olivine_network):
        figure = network_figure(olivine_network)
        assert {line.get_linewidth() for line in lines(figure, "hop-1")} == {WIDE_PT}
        assert {line.get_linewidth() for line in lines(figure, "hop-3")} == {THIN_PT}
        halos = [line for line in figure.axes[0].lines if line.get_linewidth() == HALO_PT]
        assert len(halos) == len(lines(figure, "hop-1"))

    def test_colour_follows_the_barrier(self):
        network = network_record(lithium_manganate())
        entries = figure_handles(network)
        barriers = [hop["barrier_ev"] for hop in sorted(network["hops"], key=lambda h: h["barrier_ev"])]
        luminance = [sum(entry) for entry in entries[: len(barriers)]]
        # The darker the higher; hops of one barrier share a colour.
        assert luminance == sorted(luminance, reverse=True)
        assert len({to_hex(entry) for entry in entries[: len(barriers)]}) == len(set(barriers))

    def test_blocked_and_empty_are_drawn_and_explained(self, spinel_network):
        figure = network_figure(spinel_network)
        words = legend(figure)
        assert any("runs through a network site" in entry for entry in words)
        assert "empty site" in words
        assert all(line.get_linestyle() == "--" or line.is_dashed() for line in lines(figure, "hop-3"))

    def test_everything_lies_inside_the_picture(self, spinel_network):
        figure = network_figure(spinel_network)
        axes = figure.axes[0]
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        for line in axes.lines:
            x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            assert left <= x.min() <= x.max() <= right
            assert low <= y.min() <= y.max() <= high
        figure.canvas.draw()
        for entry in axes.get_legend().get_texts():
            box = entry.get_window_extent()
            assert box.x1 <= figure.bbox.width
            assert box.y0 >= 0

    def test_many_hops_are_counted_not_listed(self):
        network = network_record(crystals.triclinic(), cutoff_ang=8.0)
        assert len(network["hops"]) > MOST_HOPS
        figure = network_figure(network)
        assert f"{len(network['hops']) - MOST_HOPS} more distinct hops, not drawn" in legend(figure)
        drawn = {gid for line in figure.axes[0].lines if (gid := line.get_gid()) and gid.startswith("hop-")}
        assert len(drawn) == MOST_HOPS
        # The one that matters most is there even when many are lower.
        last = network["hops"][-1]["number"]
        hops = [hop | {"rate_limiting": hop["number"] == last} for hop in network["hops"]]
        assert f"hop-{last}" in {
            line.get_gid() for line in network_figure(network | {"hops": hops}).axes[0].lines
        }

    def test_a_material_without_hops_is_its_sites(self):
        figure = network_figure(network_record(olivine(), cutoff_ang=2.0))
        assert figure.texts[1].get_text() == "no percolation barrier: no hops"
        assert [c for c in figure.axes[0].collections if c.get_gid() == "site"]

    def test_without_a_structure_there_is_no_picture(self, olivine_network):
        with pytest.raises(FigureError, match="no stored structure"):
            network_figure(olivine_network | {"lattice_ang": None})

    def test_names_are_not_read_as_markup(self):
        crystal = Structure(Lattice.cubic(4.0), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        figure = network_figure(network_record(crystal) | {"name": "odd $name_1 of LiF"})
        figure.canvas.draw()

    def test_the_same_bytes_twice(self, layered_network, tmp_path):
        for name in ("a", "b"):
            save(network_figure(layered_network), tmp_path / f"{name}.svg")
        assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def figure_handles(network):
    """Colours of the legend's lines, in order."""
    handles = network_figure(network).axes[0].get_legend().legend_handles
    return [handle.get_color() for handle in handles if isinstance(handle.get_color(), tuple)]
