"""A material's hop network: everything in it once, positions that make the lengths, and words that fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.hops.network import hop_network
from tasks.reports import network_text as text
from tasks.reports.empty_sites import empty_site_positions
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, lithium_manganate, olivine
from tests.tasks.reports.networks import hop_records, network_record


@pytest.fixture(scope="module")
def olivine_network():
    return network_record(olivine(), [0.3, 1.6, 1.3, 1.4], paths=True)


@pytest.fixture(scope="module")
def layered_network():
    return network_record(lithium_cobaltate())


def length_ang(network, edge):
    frac = {node["index"]: np.array(node["frac"]) for node in network["nodes"]}
    return np.linalg.norm(
        (frac[edge["j"]] + edge["image"] - frac[edge["i"]]) @ np.array(network["lattice_ang"])
    )


class TestRecord:
    def test_every_site_atom_and_hop_is_there_once(self, olivine_network):
        crystal = olivine()
        found = hop_network(crystal, "Li")
        indices = [entry["index"] for entry in [*olivine_network["nodes"], *olivine_network["host"]]]
        assert sorted(indices) == list(range(len(crystal)))
        assert [node["element"] for node in olivine_network["nodes"]] == ["Li"] * 4
        assert [hop["number"] for hop in olivine_network["hops"]] == [1, 2, 3, 4]
        for number, hop in enumerate(found.hops, 1):
            edges = [e for e in olivine_network["edges"] if e["hop"] == number]
            assert [(e["i"], e["j"], *e["image"]) for e in edges] == list(hop.orbit)
        assert len(olivine_network["edges"]) == sum(hop.multiplicity for hop in found.hops)
        assert json.loads(json.dumps(olivine_network, allow_nan=False))["formula"] == "LiFePO4"

    def test_positions_make_the_lengths(self, olivine_network, layered_network):
        for network in (olivine_network, layered_network):
            by_hop = {hop["number"]: hop["distance_ang"] for hop in network["hops"]}
            for edge in network["edges"]:
                assert edge["length_ang"] == pytest.approx(length_ang(network, edge))
                assert edge["length_ang"] == pytest.approx(by_hop[edge["hop"]], abs=1e-3)

    def test_levels_name_what_opens_and_where(self, olivine_network, layered_network):
        assert [(v["dim"], v["hop"], v["direction_conventional"]) for v in olivine_network["levels"]] == [
            (1, 1, "[010]"), (2, 3, "(100)"), (3, 4, "isotropic")
        ]  # fmt: skip
        assert [hop["opens_dims"] for hop in olivine_network["hops"]] == [[1], [], [2], [3]]
        assert [hop["rate_limiting"] for hop in olivine_network["hops"]] == [True, False, False, False]
        first, second, *_ = layered_network["levels"]
        assert first["hop"] == second["hop"] == 1
        assert second["direction_conventional"] == "(001)"

    def test_neighbours_count_both_directions(self, olivine_network):
        for node in olivine_network["nodes"]:
            assert node["hops"][1] == 2  # the chain along b
            assert node["class"] == 1
        ends = 2 * len(olivine_network["edges"])
        assert sum(sum(node["hops"].values()) for node in olivine_network["nodes"]) == ends

    def test_kinds_of_sites(self):
        network = network_record(lithium_manganate())
        sizes = [node["class"] for node in network["nodes"]]
        assert sorted(sizes.count(kind) for kind in set(sizes)) == [2, 2, 4]

    @pytest.mark.parametrize("primitive", [False, True])
    def test_the_conventional_cell_lies_as_the_crystal_does(self, primitive):
        crystal = lithium_cobaltate()
        cell = crystal.get_primitive_structure() if primitive else crystal * (2, 1, 1)
        network = network_record(cell)
        lattice = np.array(network["conventional"]["lattice_ang"])
        assert abs(np.linalg.det(lattice)) == pytest.approx(crystal.volume)
        # The same vectors of the crystal, so whole or third multiples of the stored ones.
        multiples = 3 * lattice @ np.linalg.inv(cell.lattice.matrix)
        assert np.allclose(2 * multiples, np.rint(2 * multiples), atol=1e-3)
        lengths = sorted(np.linalg.norm(lattice, axis=1))
        assert lengths == pytest.approx([2.8161, 2.8161, 14.0536], abs=1e-3)

    def test_divacancy_hops_stand_beside_and_carry_nothing(self, layered_network):
        pairs = [hop for hop in layered_network["hops"] if hop["mechanism"] == "divacancy"]
        assert pairs
        for hop in pairs:
            assert not hop["carries_percolation"]
            assert hop["also_vacant"] == [int(part) for part in hop["vacancy"].split("_")]
            edges = [edge for edge in layered_network["edges"] if edge["hop"] == hop["number"]]
            assert len(edges) == hop["multiplicity"]
            assert all(len(edge["also_vacant"]) == 4 for edge in edges)

    def test_nothing_stored_is_an_empty_network(self):
        network = network_record(olivine(), cutoff_ang=2.0)
        assert (network["hops"], network["edges"], network["levels"]) == ([], [], [])
        assert len(network["nodes"]) == 4
        assert {node["class"] for node in network["nodes"]} == {None}


class TestEmptySites:
    @pytest.mark.parametrize("shift", [0, 1])
    def test_all_are_placed_where_their_hops_have_their_lengths(self, shift):
        crystal = crystals.spinel("Li", "Mn", 8.247)
        # Coordinates need not lie in the home cell.
        empty = crystals.empty_octahedra(crystal) + shift * np.array([1.0, 0.0, -1.0])
        found = hop_network(crystal, "Li", cutoff_ang=3.6, empty_sites_frac=empty)
        records = hop_records(crystal, found, [0.3] * len(found.hops), empty)
        placed = empty_site_positions(crystal, records)
        assert sorted(placed) == [len(crystal) + k for k in range(len(empty))]
        network = network_record(crystal, empty_frac=empty, cutoff_ang=3.6)
        for edge in network["edges"]:
            assert edge["length_ang"] == pytest.approx(length_ang(network, edge))
            of_hop = network["hops"][edge["hop"] - 1]["distance_ang"]
            assert edge["length_ang"] == pytest.approx(of_hop, abs=1e-3)
        # Every true place is taken once, whatever number it goes under.
        places = np.array(list(placed.values())) % 1.0
        distances = crystal.lattice.get_all_distances(places, empty % 1.0)
        assert np.sort(distances.argmin(axis=1)).tolist() == list(range(len(empty)))
        assert distances.min(axis=1).max() < 1e-3

    def test_what_cannot_be_placed_is_null_and_still_listed(self):
        crystal = crystals.spinel("Li", "Mn", 8.247)
        empty = crystals.empty_octahedra(crystal)
        found = hop_network(crystal, "Li", cutoff_ang=2.0, empty_sites_frac=empty)
        records = [
            record | {"frac_i": None, "frac_j": None}
            for record in hop_records(crystal, found, [0.3] * len(found.hops), empty)
        ]
        assert set(empty_site_positions(crystal, records).values()) == {None}


class TestText:
    def test_headline(self, olivine_network, layered_network):
        first, second, third = text.headline(olivine_network)
        assert first == "LiFePO4  m"
        assert "4 sites (1 distinct), 4 distinct hops, 24 in the cell" in second
        assert "percolates in 1-D along [010] over 0.300 eV (90%: 0.150 to 0.600)" in third
        assert "2-D along (001)" in text.headline(layered_network)[2]
        blocked = network_record(olivine(), cutoff_ang=2.0)
        assert text.headline(blocked)[-1] == "  does not percolate: no_hops"
        differing = text.headline(network_record(lithium_manganate()))
        assert any("its sites differ by 0.250 eV" in line for line in differing)

    def test_the_ladder_is_ordered_and_to_scale(self, olivine_network):
        rows = text.hop_rows(olivine_network)
        assert [row["number"] for row in rows] == [1, 3, 4, 2]
        assert [row["mark"] for row in rows] == [text.MARK, "", "", ""]
        assert len(rows[-1]["ladder"]) == text.LADDER
        assert len(rows[0]["ladder"]) == round(text.LADDER * 0.3 / 1.6)
        assert [row["opens"] for row in rows] == ["1-D [010]", "2-D (100)", "3-D isotropic", ""]

    @pytest.mark.parametrize(
        ("barrier", "drawn"), [(None, ""), (2.0, "█" * 20), (1.0, "█" * 10), (0.0125, "▏"), (0.0, "▏")]
    )
    def test_bars(self, barrier, drawn):
        assert text.bar(barrier, 2.0) == drawn

    def test_unknown_barriers_come_last_with_their_reason(self):
        crystal = crystals.spinel("Li", "Mn", 8.247)
        network = network_record(crystal, empty_frac=crystals.empty_octahedra(crystal), cutoff_ang=3.6)
        rows = text.hop_rows(network)
        assert rows[-1]["blocked_by"] == "network_site"
        assert rows[-1]["ladder"] == ""
        assert "empty " in rows[0]["ends"]
        assert text.kinds_of_block(network) == "1 by a network site"
        assert [row["kind"] for row in text.site_rows(network)] == ["Li", "empty"]

    def test_one_hop_that_opens_several_is_one_row(self, layered_network):
        first, *_ = text.level_rows(layered_network)
        assert (first["dims"], first["along"], first["mark"]) == ("1-D and 2-D", "(001)", text.MARK)
        assert text.said([1, 2, 3]) == "1-D, 2-D and 3-D"

    def test_sites_say_where_hops_lead(self, olivine_network):
        (row,) = text.site_rows(olivine_network)
        assert row["sites"] == "0 1 2 3"
        assert row["in_cell"] == 4
        assert row["hops"].startswith("2 by hop 1, ")

    def test_mechanism_and_path(self, olivine_network, layered_network):
        assert text.path(olivine_network["hops"][0]) == "bvse"
        pair = next(hop for hop in layered_network["hops"] if hop["vacancy"])
        assert text.mechanism(pair).startswith("divacancy, ")
        fixed = pair | {"path_kind": "bvse_fixed_ends", "path_converged": False, "collapsed": True}
        assert text.path(fixed) == "bvse, fixed ends, unconverged"
        assert text.path(fixed | {"path_kind": "bvse"}) == "bvse, unconverged, collapsed"
