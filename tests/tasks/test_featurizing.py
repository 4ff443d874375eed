"""Featurizing: hops, relaxed paths and descriptors of a batch, and none costs another its result."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from storage.records import Reason, Stage
from tasks import featurizing
from tasks.candidates.cleaning import load_charges, load_structure
from tasks.descriptors.assemble import INPUT_SPEC
from tasks.descriptors.keys import group_keys
from tasks.featurizing import featurize, featurize_one, shortest_anion_distance_ang
from tasks.hops.path import hop_environment
from tasks.limits import TimeLimitError
from tasks.stage_keys import HopSettings
from tests.campaigns import antifluorite, layered, lonely, rock_salt, walled

SETTINGS = HopSettings()
LONG_S = 3600.0


class TestFeaturize:
    def test_rows_and_descriptors_stand_in_one_order(self, candidate_of):
        some = [
            candidate_of(rock_salt("Li", "F", 4.03), "a"),
            candidate_of(antifluorite("Li", "O", 4.62), "b"),
        ]
        done = featurize(some, SETTINGS, "shard", None)
        assert done.failures == []
        assert [row.structure_hash for row in done.results] == [row.structure_hash for row in some]
        assert {row.shard for row in done.results} == {"shard"}
        for group in INPUT_SPEC.groups:
            assert done.groups[group.name].shape == (len(done.keys), *group.shape)
            assert done.groups[group.name].dtype == np.float32
        alone = [featurize([one], SETTINGS, "shard", None) for one in some]
        assert done.keys == alone[0].keys + alone[1].keys
        for name, values in done.groups.items():
            np.testing.assert_array_equal(values, np.concatenate([each.groups[name] for each in alone]))

    def test_blocked_hops_are_rows_without_descriptors(self, candidate_of):
        candidate = candidate_of(rock_salt("Li", "F", 4.03))
        hops, keys, rows = featurize_one(candidate, HopSettings(cutoff_ang=6.0))
        blocked = [hop for hop in hops if hop.blocked_by is not None]
        assert blocked
        assert len(keys) == len(rows) == len(hops) - len(blocked)
        assert not {hop.edge_id for hop in blocked} & {key.edge_id for key in keys}

    def test_a_material_with_blocked_hops_alone_keeps_them_and_says_so(self, candidate_of):
        some = [candidate_of(walled(), "walled"), candidate_of(rock_salt("Li", "F", 4.03), "good")]
        done = featurize(some, SETTINGS, "shard", None)
        (failure,) = done.failures
        assert (failure.material_id, failure.reason, failure.stage) == ("walled", Reason.NO_HOPS, Stage.HOPS)
        assert "blocked_by" in failure.message
        assert {hop.material_id for hop in done.hops} == {"walled", "good"}
        assert {key.structure_hash for key in done.keys} == {some[1].structure_hash}
        assert [row.n_rows > 0 for row in done.results] == [False, True]

    def test_nothing_within_the_cutoff_is_a_reason(self, candidate_of):
        done = featurize([candidate_of(lonely())], SETTINGS, "shard", None)
        assert [row.reason for row in done.failures] == [Reason.NO_HOPS]
        assert "6.00 Å; give a longer --cutoff-ang" in done.failures[0].message
        assert [row.n_rows for row in done.results] == [0]
        for group in INPUT_SPEC.groups:
            assert done.groups[group.name].shape == (0, *group.shape)

    @pytest.mark.parametrize("error", [TimeLimitError("late"), MemoryError("much"), ZeroDivisionError("bug")])
    def test_a_failure_costs_no_other_its_result(self, candidate_of, monkeypatch, error):
        real = featurizing.describe

        def describe(env):
            if env.composition.get("F"):
                raise error
            return real(env)

        monkeypatch.setattr(featurizing, "describe", describe)
        some = [
            candidate_of(antifluorite("Li", "O", 4.62), "before"),
            candidate_of(rock_salt("Li", "F", 4.03), "bad"),
            candidate_of(layered(), "after"),
        ]
        done = featurize(some, SETTINGS, "shard", None)
        assert [row.material_id for row in done.failures] == ["bad"]
        # Of a material that failed half-way nothing stays.
        assert {hop.material_id for hop in done.hops} == {"before", "after"}
        assert [row.n_rows > 0 for row in done.results] == [True, False, True]

    def test_an_expiry_that_a_body_swallows_again_and_again_is_a_time_limit(self, candidate_of, monkeypatch):
        def describe(_env):
            for _ in range(3):
                try:
                    signal.raise_signal(signal.SIGALRM)
                except Exception:  # noqa: BLE001 - what libraries write
                    continue
            return {group.name: np.zeros(group.shape) for group in INPUT_SPEC.groups}

        monkeypatch.setattr(featurizing, "describe", describe)
        done = featurize([candidate_of(layered())], SETTINGS, "shard", LONG_S)
        assert [row.reason for row in done.failures] == [Reason.TIME_LIMIT]
        assert done.hops == done.keys == []

    def test_too_many_hops(self, candidate_of):
        done = featurize([candidate_of(layered())], HopSettings(max_hops=1, cutoff_ang=6.0), "shard", None)
        assert [row.reason for row in done.failures] == [Reason.TOO_MANY_HOPS]

    def test_hop_rows_say_where_they_come_from(self, candidate_of):
        candidate = candidate_of(layered(), "licoo2")
        hops, _, _ = featurize_one(candidate, SETTINGS)
        structure = load_structure(candidate)
        lattice = structure.lattice.matrix
        for hop in hops:
            start, end = structure[hop.i], structure[hop.j]
            vector = (end.frac_coords + np.array([hop.ox, hop.oy, hop.oz]) - start.frac_coords) @ lattice
            assert np.linalg.norm(vector) == pytest.approx(hop.distance_ang)
            assert {start.specie.symbol, end.specie.symbol} == {"Li"}
            suffix = f"_v{hop.vacancy}" if hop.vacancy else ""
            assert hop.edge_id == f"licoo2_{hop.i}_{hop.j}_{hop.ox}_{hop.oy}_{hop.oz}{suffix}"
            assert hop.frac_i == pytest.approx(start.frac_coords)
            assert hop.frac_j == pytest.approx(end.frac_coords + np.array([hop.ox, hop.oy, hop.oz]))
            assert [hop.i, hop.j, hop.ox, hop.oy, hop.oz] in hop.orbit
            assert len(hop.orbit) == hop.multiplicity


def test_shortest_anion_distance_in_rock_salt(candidate_of):
    """Half-way between two cations a / sqrt(2) apart, the nearest anions are a / (2 sqrt(2)) off."""
    a_ang = 4.03
    candidate = candidate_of(rock_salt("Li", "F", a_ang))
    hops, _, _ = featurize_one(candidate, HopSettings(path="straight"))
    (hop,) = [hop for hop in hops if hop.distance_ang == pytest.approx(a_ang / 2**0.5)]
    assert hop.d_min_ang == pytest.approx(a_ang / (2 * 2**0.5), abs=1e-3)


def test_shortest_anion_distance_without_anions(candidate_of):
    candidate = candidate_of(rock_salt("Li", "F", 4.03))
    structure = load_structure(candidate)
    env = hop_environment(structure, load_charges(candidate), 0, 0, (1, 0, 0), working_ion="Li")
    bare = type(env)(**{**vars(env), "coords_ang": env.coords_ang[:0], "numbers": env.numbers[:0],
                        "charges": env.charges[:0]})  # fmt: skip
    assert shortest_anion_distance_ang(bare) is None


def test_libraries_are_loaded_before_time_runs():
    """An import that a time limit cuts short stays broken, and every later material would pay for it."""
    code = """
import sys
from tasks.featurizing import featurize
from tasks.stage_keys import HopSettings
assert "torch" not in sys.modules
featurize([], HopSettings(path="straight"), "shard", 0.001)
assert "torch" not in sys.modules
featurize([], HopSettings(), "shard", 0.001)
assert "tasks.hops.relax" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class TestPaths:
    def test_both_mechanisms_of_a_layered_host_are_described_side_by_side(self, candidate_of):
        hops, keys, rows = featurize_one(candidate_of(layered()), SETTINGS)
        alone, beside = [hop for hop in hops if hop.distance_ang == pytest.approx(hops[0].distance_ang)]
        assert (alone.mechanism, beside.mechanism) == ("isolated", "divacancy")
        assert (alone.vacancy, alone.orbit_also_vacant) == ("", None)
        assert beside.vacancy.split("_")[0].isdigit()
        assert len(beside.orbit_also_vacant) == len(beside.orbit) == beside.multiplicity
        assert {key.vacancy for key in keys} >= {"", beside.vacancy}
        # Without the third ion in its way the ion goes through the tetrahedron, and more easily.
        assert beside.bvse_barrier_ev < alone.bvse_barrier_ev
        assert beside.path_ang != alone.path_ang
        assert len(rows) == len(keys)

    def test_a_relaxed_path_is_kept_whole_with_its_convergence(self, candidate_of):
        hops, _, rows = featurize_one(candidate_of(antifluorite("Li", "O", 4.62)), SETTINGS)
        hop = hops[0]
        assert hop.path_kind == "bvse"
        assert hop.path_converged
        assert hop.residual_force_ev_ang <= 0.05
        assert np.shape(hop.path_ang) == (21, 3)
        assert len(hop.path_energies_ev) == 21
        assert hop.bvse_barrier_ev == max(hop.bvse_barrier_forward_ev, hop.bvse_barrier_reverse_ev)
        # All sites are equivalent here.
        assert hop.bvse_site_energy_difference_ev == pytest.approx(0.0, abs=1e-3)
        local = dict(zip(group_keys("local"), rows[0]["local"], strict=True))
        assert local["bvse_barrier_ev"] == pytest.approx(hop.bvse_barrier_ev, rel=1e-5)

    def test_straight_paths_on_request(self, candidate_of):
        hops, _, rows = featurize_one(candidate_of(layered()), HopSettings(path="straight"))
        assert {hop.path_kind for hop in hops} == {"straight"}
        assert {hop.path_converged for hop in hops} == {None}
        local = dict(zip(group_keys("local"), rows[0]["local"], strict=True))
        assert np.isnan(local["bvse_barrier_ev"])
        assert local["tortuosity"] == pytest.approx(1.0)

    def test_missing_parameters_leave_the_straight_path_and_are_named(self, candidate_of):
        candidate = candidate_of(antifluorite("Li", "O", 4.62))
        unknown = candidate.model_copy(update={"oxidation_states": None, "oxidation_method": None})
        hops, keys, _ = featurize_one(unknown, SETTINGS)
        assert {hop.path_kind for hop in hops} == {"straight"}
        assert all(hop.missing_parameters == ["charges"] for hop in hops)
        assert keys
