"""One hop as a record: rebuilt from stored rows, and every number that of a plain count over the crystal."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from pymatgen.core import Structure
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform

from flows.cli.output import finite
from tasks.candidates.cleaning import load_charges, load_structure
from tasks.descriptors.assemble import describe
from tasks.descriptors.keys import group_keys
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import clouds
from tasks.reports.errors import FigureError
from tasks.reports.hop_facts import build_hop, environment
from tests.campaigns import antifluorite, walled
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, olivine
from tests.tasks.reports.hops import hop_record, stored_hops


@pytest.fixture(scope="module")
def layered(candidate_of):
    candidate = candidate_of(lithium_cobaltate())
    return candidate, *stored_hops(candidate, cutoff_ang=3.0)


@pytest.fixture(scope="module")
def straight_olivine(candidate_of):
    candidate = candidate_of(olivine())
    rows, _ = stored_hops(candidate, path="straight")
    return candidate, rows


def all_atoms(candidate, row):
    """Positions and elements of the crystal's atoms in 5 x 5 x 5 cells, without those that are vacant."""
    structure = load_structure(candidate)
    vacant = {(row["i"], 0, 0, 0), (row["j"], row["ox"], row["oy"], row["oz"])}
    if row["vacancy"]:
        vacant.add(tuple(int(part) for part in row["vacancy"].split("_")))
    places, elements = [], []
    for cell in itertools.product(range(-3, 4), repeat=3):
        for site, atom in enumerate(structure):
            if (site, *cell) not in vacant:
                places.append((atom.frac_coords + cell) @ structure.lattice.matrix)
                elements.append(atom.specie.symbol)
    return np.array(places), np.array(elements)


def naive(places, elements, at, count, *, anion):
    found = sorted(
        (float(np.linalg.norm(place - at)), element)
        for place, element in zip(places, elements, strict=True)
        if (element == "O") == anion
    )
    return found[:count]


class TestAgainstPlainCounting:
    @pytest.mark.parametrize("number", [0, 1])
    def test_distances_along_the_path_of_a_divacancy_too(self, layered, number):
        candidate, rows, _ = layered
        places, elements = all_atoms(candidate, rows[number])
        hop = hop_record(candidate, rows[number])
        assert (hop["also_vacant"] is None) == (number == 0)
        least = []
        for point in hop["path"]["points"]:
            for role, count in (("anions", 6), ("cations", 4)):
                expected = naive(places, elements, point["position_ang"], count, anion=role == "anions")
                assert [a["distance_ang"] for a in point[role]] == pytest.approx([d for d, _ in expected])
                # Elements that tie may come in any order.
                nearest = [e for d, e in expected if d < expected[0][0] + 1e-6]
                assert point[role][0]["element"] in nearest
            least.append(point["anions"][0]["distance_ang"])
        path_points = [
            d for d, p in zip(least, hop["path"]["points"], strict=True) if p["state"] != "transition"
        ]
        assert hop["path"]["d_min_ang"] == pytest.approx(min(path_points))
        assert hop["path"]["d_min_ang"] == pytest.approx(rows[number]["d_min_ang"])

    def test_the_initial_state_of_a_layered_oxide_is_an_octahedron(self, layered):
        candidate, rows, _ = layered
        state = hop_record(candidate, rows[0])["states"]["initial"]
        # A trigonal antiprism: triangles of side a at 2/3 - z and 1/3 + z, the ion between them at 1/2.
        a_ang, height = 2.8161, 2 * 14.0536 * (0.5 - (2 / 3 - 0.23951))
        far = np.hypot(a_ang / np.sqrt(3), height / 2)
        assert state["coordination_number"] == 6
        assert [anion["element"] for anion in state["anions"]] == ["O"] * 6
        assert [anion["distance_ang"] for anion in state["anions"]] == pytest.approx([far] * 6, abs=1e-3)
        assert state["d_min_ang"] == pytest.approx(far, abs=1e-3)
        assert state["volume_ang3"] == pytest.approx(a_ang**2 * height / np.sqrt(3), rel=1e-3)
        for anion in state["anions"]:
            apart = np.subtract(anion["position_ang"], state["position_ang"])
            assert np.linalg.norm(apart) == pytest.approx(anion["distance_ang"])

    def test_h0_bars_are_the_edges_of_the_shortest_tree(self, straight_olivine):
        candidate, rows = straight_olivine
        hop = hop_record(candidate, rows[0])
        env = environment(load_structure(candidate), load_charges(candidate), rows[0])
        for cloud, members in clouds(survey(env)).items():
            points = env.coords_ang[members]
            tree = minimum_spanning_tree(squareform(pdist(points))).data
            deaths = [death for birth, death in hop["bars"][cloud]["h0"] if birth == 0.0]
            assert hop["bars"][cloud]["atoms"] == sum(hop["bars"][cloud]["elements"].values()) == len(points)
            assert sorted(deaths) == pytest.approx(sorted(tree), abs=1e-5)
            assert hop["bars"][f"{cloud}_ion"]["atoms"] == len(points) + 1

    def test_bars_come_the_longest_first(self, straight_olivine):
        candidate, rows = straight_olivine
        for bars in hop_record(candidate, rows[0])["bars"].values():
            for dimension in ("h0", "h1", "h2"):
                lengths = [round(death - birth, 6) for birth, death in bars.get(dimension, ())]
                assert lengths == sorted(lengths, reverse=True)


class TestFromStoredRows:
    def test_descriptors_of_the_rebuilt_hop_are_those_of_the_screening(self, layered):
        candidate, rows, described = layered
        for row in rows:
            env = environment(load_structure(candidate), load_charges(candidate), row)
            again = describe(env)
            kept = described[row["edge_id"]]
            np.testing.assert_allclose(again["profile"], kept["profile"], atol=1e-5)
            at_ends = [k for k, key in enumerate(group_keys("local")) if key.startswith("ends_")]
            np.testing.assert_allclose(again["local"][at_ends], kept["local"][at_ends], atol=1e-5)
            d_min = group_keys("local").index("saddle_d_min_ang")
            assert again["local"][d_min] == pytest.approx(kept["local"][d_min], abs=2e-3)

    def test_the_anions_drawn_are_those_that_descriptors_count(self, layered):
        candidate, rows, described = layered
        keys = group_keys("local")
        for number, row in enumerate(rows, 1):
            hop, local = hop_record(candidate, row, number), described[row["edge_id"]]["local"]
            state = hop["states"]["transition"]
            distances = [anion["distance_ang"] for anion in state["anions"]]
            assert len(distances) == local[keys.index("saddle_coordination_number")]
            assert np.mean(distances) == pytest.approx(local[keys.index("saddle_d_mean_ang")], abs=2e-3)
            assert max(distances) == pytest.approx(state["d_max_ang"])
            ends = [hop["states"][name] for name in ("initial", "final")]
            for key in ("d_min_ang", "coordination_number", "volume_ang3", "bond_valence_sum"):
                mean = np.mean([end[key] for end in ends])
                assert mean == pytest.approx(local[keys.index(f"ends_{key}")], rel=1e-4)

    def test_energies_and_the_transition_state(self, layered):
        candidate, rows, _ = layered
        hop = hop_record(candidate, rows[0])
        points = hop["path"]["points"]
        assert [p["state"] for p in points if p["state"]] == ["initial", "transition", "final"]
        assert len(points) == 22
        top = hop["states"]["transition"]
        assert top["energy_ev"] == pytest.approx(rows[0]["bvse_barrier_ev"])
        assert top["energy_ev"] >= max(p["energy_ev"] for p in points) - 1e-9
        assert top["along_ang"] == pytest.approx(rows[0]["saddle_fraction"] * hop["path"]["length_ang"])
        others = np.array([p["position_ang"] for p in points if p["state"] != "transition"])
        gaps = np.linalg.norm(others - top["position_ang"], axis=1)
        assert gaps.min() < hop["path"]["length_ang"] / 20
        along = [point["along_ang"] for point in points]
        assert along == sorted(along)

    def test_a_straight_path_has_no_energies_and_its_middle(self, straight_olivine):
        candidate, rows = straight_olivine
        hop = hop_record(candidate, rows[0])
        assert all(np.isnan(point["energy_ev"]) for point in hop["path"]["points"])
        first, middle, last = (hop["states"][name]["position_ang"] for name in hop["states"])
        assert np.add(first, last) / 2 == pytest.approx(middle)
        assert finite(hop)["path"]["points"][0]["energy_ev"] is None
        assert json.loads(json.dumps(finite(hop), allow_nan=False))["edge_id"] == rows[0]["edge_id"]

    def test_without_a_prediction(self, candidate_of):
        candidate = candidate_of(antifluorite("Li", "O", 4.62))
        rows, _ = stored_hops(candidate, barriers=False, path="straight")
        assert set(hop_record(candidate, rows[0])["barrier"].values()) == {None}

    def test_a_blocked_hop_and_unknown_charges(self, candidate_of):
        candidate = candidate_of(walled())
        rows, _ = stored_hops(candidate, path="straight")
        assert rows[0]["blocked_by"] == "host_atom"
        hop = build_hop(candidate.model_dump(), candidate.structure_json, None, rows[0], 1)
        assert hop["states"]["initial"]["anions"][0]["element"] == "O"
        assert min(point["anions"][0]["distance_ang"] for point in hop["path"]["points"]) >= 0.0

    def test_an_end_that_holds_no_atom(self, candidate_of):
        candidate = candidate_of(crystals.spinel())
        rows, described = stored_hops(candidate, sites="bvse")
        n_atoms = len(load_structure(candidate))
        row = next(row for row in rows if row["j"] >= n_atoms and row["edge_id"] in described)
        hop = hop_record(candidate, row)
        # The octahedral 16c site lies on the diagonal between two tetrahedral ones.
        assert hop["states"]["final"]["coordination_number"] == 6
        assert hop["path"]["points"][-1]["cations"][0]["element"] == "Li"
        assert np.isfinite(hop["states"]["final"]["volume_ang3"])

    def test_no_anions_is_said(self, candidate_of):
        candidate = candidate_of(antifluorite("Li", "O", 4.62))
        rows, _ = stored_hops(candidate, path="straight")
        metal = Structure.from_dict(json.loads(candidate.structure_json))
        metal.replace_species({"O": "Al"})
        with pytest.raises(FigureError, match=r"No anion lies within .* ionic crystals"):
            build_hop(candidate.model_dump(), json.dumps(metal.as_dict()), None, rows[0], 1)
