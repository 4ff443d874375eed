"""A batch of materials: a row or a failure for each, and none costs another its result."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import spglib
from pymatgen.analysis.bond_valence import BVAnalyzer

from storage.records import Reason, Stage
from tasks import batches
from tasks.batches import featurize, featurize_one, prepare, reason_for, shortest_anion_distance_ang
from tasks.candidates.cleaning import CleaningSettings, load_charges, load_structure
from tasks.candidates.source import RawMaterial, Rejected, RejectedError, SourceItem
from tasks.descriptors.assemble import INPUT_SPEC
from tasks.hops.errors import NoWorkingIonError, TooManyHopsError
from tasks.hops.path import hop_environment
from tasks.limits import TimeLimitError
from tasks.stage_keys import HopSettings
from tests.campaigns import antifluorite, layered, lonely, rock_salt, walled

SETTINGS = HopSettings()
LONG_S = 3600.0
FLUORINE = 9


class Shelf:
    """A source in memory: an item is a list of structures, or an error."""

    name = "shelf"

    def __init__(self, **items):
        self.content = items

    def items(self):
        return [SourceItem("shelf", name, name, name) for name in self.content]

    def read(self, item):
        found = self.content[item.item_id]
        if isinstance(found, Exception):
            raise found
        return [
            Rejected(f"{item.item_id}{k}", one)
            if isinstance(one, RejectedError)
            else RawMaterial(f"{item.item_id}{k}", one, "shelf")
            for k, one in enumerate(found)
        ]


def prepared(time_limit_s=None, **items):
    source = Shelf(**items)
    return prepare(
        source, [(item, f"key {item.item_id}") for item in source.items()], CleaningSettings(), time_limit_s
    )


class TestPrepare:
    def test_every_item_gets_a_stage_result_and_every_structure_a_row(self):
        done = prepared(
            both=[rock_salt("Li", "F", 4.03), rock_salt("Na", "Cl", 5.64)],
            broken=RejectedError(Reason.UNREADABLE_FILE, "no"),
            bug=ZeroDivisionError("oh"),
            good=[layered()],
            none=[],
        )
        assert [row.material_id for row in done.candidates] == ["both0", "good0"]
        assert {(row.material_id, row.reason) for row in done.failures} == {
            ("both1", Reason.NO_WORKING_ION),
            ("broken", Reason.UNREADABLE_FILE),
            ("bug", Reason.UNEXPECTED),
        }
        counts = {row.stage_key: row.n_rows for row in done.results}
        assert counts == {"key both": 2, "key broken": 1, "key bug": 1, "key good": 1, "key none": 0}

    def test_only_what_is_unexpected_carries_a_traceback(self):
        done = prepared(broken=RejectedError(Reason.UNREADABLE_FILE, "no"), bug=ZeroDivisionError())
        traces = {row.material_id: row.traceback for row in done.failures}
        assert traces["broken"] is None
        assert "ZeroDivisionError" in traces["bug"]
        assert {row.message for row in done.failures} == {"no", "ZeroDivisionError"}

    def test_a_refused_structure_keeps_its_formula(self):
        (failure,) = prepared(salt=[rock_salt("Na", "Cl", 5.64)]).failures
        assert (failure.formula, failure.stage_key, failure.stage) == ("NaCl", "key salt", Stage.CANDIDATES)

    def test_a_structure_that_cannot_be_read_costs_no_other_of_its_item(self):
        bad = RejectedError(Reason.UNREADABLE_FILE, "no", "LiX")
        done = prepared(some=[layered(), bad, rock_salt("Li", "F", 4.03)])
        assert [row.material_id for row in done.candidates] == ["some0", "some2"]
        (failure,) = done.failures
        assert (failure.material_id, failure.reason, failure.formula, failure.traceback) == (
            "some1", Reason.UNREADABLE_FILE, "LiX", None,
        )  # fmt: skip
        assert [row.n_rows for row in done.results] == [3]

    @pytest.mark.parametrize("where", [(BVAnalyzer, "get_valences"), (spglib, "get_symmetry_dataset")])
    def test_an_expiry_under_a_broad_handler_is_a_time_limit(self, monkeypatch, where):
        """Who asks for charges or symmetry takes any Exception for "none": an expiry must not look so."""
        real = getattr(*where)

        def slow(*args, **kwargs):
            if any(names_fluorine(arg) for arg in args):
                try:
                    signal.raise_signal(signal.SIGALRM)
                except Exception:  # noqa: BLE001 - what libraries write
                    return None
            return real(*args, **kwargs)

        monkeypatch.setattr(*where, slow)
        done = prepared(LONG_S, some=[layered(), rock_salt("Li", "F", 4.03), antifluorite("Li", "O", 4.62)])
        assert [row.material_id for row in done.candidates] == ["some0", "some2"]
        assert [(row.material_id, row.reason) for row in done.failures] == [("some1", Reason.TIME_LIMIT)]
        assert "raise --time-limit and add --retry time_limit" in done.failures[0].message


def names_fluorine(arg):
    """Say whether an argument is a structure with fluorine, of pymatgen's or spglib's kind."""
    if isinstance(arg, tuple):
        return FLUORINE in arg[2]
    return FLUORINE in getattr(arg, "atomic_numbers", ())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RejectedError(Reason.NO_ANIONS, "x"), Reason.NO_ANIONS),
        (TooManyHopsError(9, 3, 4.0), Reason.TOO_MANY_HOPS),
        (NoWorkingIonError("x"), Reason.NO_WORKING_ION),
        (TimeLimitError("x"), Reason.TIME_LIMIT),
        (KeyError("x"), Reason.UNEXPECTED),
        (MemoryError(), Reason.UNEXPECTED),
    ],
)
def test_reasons(error, reason):
    assert reason_for(error) is reason


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
        real = batches.describe

        def describe(env):
            if env.composition.get("F"):
                raise error
            return real(env)

        monkeypatch.setattr(batches, "describe", describe)
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

        monkeypatch.setattr(batches, "describe", describe)
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
            assert hop.edge_id == f"licoo2_{hop.i}_{hop.j}_{hop.ox}_{hop.oy}_{hop.oz}"
            assert [hop.i, hop.j, hop.ox, hop.oy, hop.oz] in hop.orbit
            assert len(hop.orbit) == hop.multiplicity


def test_shortest_anion_distance_in_rock_salt(candidate_of):
    """Half-way between two cations a / sqrt(2) apart, the nearest anions are a / (2 sqrt(2)) off."""
    a_ang = 4.03
    candidate = candidate_of(rock_salt("Li", "F", a_ang))
    hops, _, _ = featurize_one(candidate, SETTINGS)
    (hop,) = [hop for hop in hops if hop.distance_ang == pytest.approx(a_ang / 2**0.5)]
    assert hop.d_min_ang == pytest.approx(a_ang / (2 * 2**0.5), abs=1e-3)


def test_shortest_anion_distance_without_anions(candidate_of):
    candidate = candidate_of(rock_salt("Li", "F", 4.03))
    structure = load_structure(candidate)
    env = hop_environment(structure, load_charges(candidate), 0, 0, (1, 0, 0), working_ion="Li")
    bare = type(env)(**{**vars(env), "coords_ang": env.coords_ang[:0], "numbers": env.numbers[:0],
                        "charges": env.charges[:0]})  # fmt: skip
    assert shortest_anion_distance_ang(bare) is None
