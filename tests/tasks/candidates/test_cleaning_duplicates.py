"""Duplicates: what is one material and what is not, and that cheap questions change no answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from tasks.candidates import cleaning_duplicates
from tasks.candidates.cleaning import CleaningSettings, clean, load_structure
from tasks.candidates.cleaning_duplicates import (
    MERGED_VOLUME_TOLERANCE,
    SHELL,
    SHELL_TOLERANCE,
    fingerprint,
    merge_duplicates,
)
from tests.campaigns import layered
from tests.tasks.candidates.test_cleaning import SETTINGS, raw, rock_salt


def test_different_polymorphs_stay_apart() -> None:
    caesium_chloride = Structure(Lattice.cubic(2.5), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    candidates = [
        clean(raw(s, str(k)), SETTINGS, "key") for k, s in enumerate([rock_salt(), caesium_chloride])
    ]
    assert len(set(merge_duplicates(candidates).values())) == 2


@pytest.mark.parametrize(
    ("strain", "merged"), [(0.0, True), (0.01, True), (-0.01, True), (0.03, False), (0.1, False)]
)
def test_strained_crystals_are_one_material_up_to_five_percent_of_volume(strain: float, merged: bool) -> None:
    strained = layered()
    strained.apply_strain(strain)
    candidates = [clean(raw(s, str(k)), SETTINGS, "key") for k, s in enumerate([layered(), strained])]
    for pair in (candidates, candidates[::-1]):
        assert (len(set(merge_duplicates(pair).values())) == 1) == merged


def random_crystals(n: int) -> list[Structure]:
    """Crystals of one composition: some are others again, shifted, in another cell or a little displaced."""
    rng = np.random.default_rng(5)
    crystals: list[Structure] = []
    while len(crystals) < n:
        if crystals and rng.random() < 0.5:
            base = crystals[int(rng.integers(len(crystals)))].copy()
            base.translate_sites(range(len(base)), rng.random(3))
            base.perturb(float(rng.uniform(0.0, 0.06)), seed=int(rng.integers(1000)))
            base.apply_strain(float(rng.uniform(-0.012, 0.012)))
            crystals.append(base)
            continue
        cell = Lattice.from_parameters(*rng.uniform(4.0, 6.0, 3), *rng.uniform(75, 105, 3))
        structure = Structure(cell.scale(75.0), ["Li", "Co", "O", "O"], rng.random((4, 3)))
        if structure.is_valid(tol=1.4):
            crystals.append(structure)
    return crystals


def plain_answer(candidates) -> dict[str, str]:
    """Compare every pair with the matcher, and nothing else but volumes."""
    matcher, keys, kept = StructureMatcher(), {}, []
    for one in candidates:
        for other in kept:
            low, high = sorted(row.volume_ang3 / row.n_sites for row in (one, other))
            near = high <= low * (1 + MERGED_VOLUME_TOLERANCE)
            if near and matcher.fit(load_structure(one), load_structure(other)):
                keys[one.structure_hash] = other.structure_hash
                break
        else:
            kept.append(one)
            keys[one.structure_hash] = one.structure_hash
    return keys


def test_cheap_questions_change_no_answer() -> None:
    candidates = [clean(raw(s, str(k)), SETTINGS, "key") for k, s in enumerate(random_crystals(40))]
    found = merge_duplicates(candidates)
    assert found == plain_answer(candidates)
    assert 5 < len(set(found.values())) < 35


def test_few_pairs_are_left_to_the_matcher(monkeypatch) -> None:
    candidates = [clean(raw(s, str(k)), SETTINGS, "key") for k, s in enumerate(random_crystals(40))]
    asked = []

    class Counting(StructureMatcher):
        def fit(self, *pair, **named):
            asked.append(pair)
            return super().fit(*pair, **named)

    monkeypatch.setattr(cleaning_duplicates, "StructureMatcher", Counting)
    merge_duplicates(candidates)
    pairs = len(list(itertools.combinations(candidates, 2)))
    assert 0 < len(asked) < 0.15 * pairs


def test_states_of_one_structure_are_two_materials() -> None:
    both = [clean(raw(layered()), CleaningSettings(state=state), "k") for state in ("discharged", "charged")]
    keys = merge_duplicates(both)
    assert keys == {row.structure_hash: row.structure_hash for row in both}
    assert len(keys) == 2


def neighbours_by_hand(structure: Structure) -> np.ndarray:
    """How far the nearest neighbours of each element are, by pymatgen's own search."""
    edge = (structure.volume / len(structure)) ** (1 / 3)
    rows: dict[int, list] = {}
    for site in structure:
        found = sorted(n.nn_distance for n in structure.get_neighbors(site, 9.0))[:SHELL]
        rows.setdefault(site.specie.Z, []).append(np.array(found) / edge)
    return np.array([[f(rows[z], axis=0) for f in (np.mean, np.min, np.max)] for z in sorted(rows)])


def test_fingerprints_are_those_of_a_search_by_hand() -> None:
    flat = Structure(
        Lattice.from_parameters(2.9, 2.9, 14.0, 90, 90, 32), ["Li", "O"], [[0, 0, 0], [0.3, 0.3, 0.4]]
    )
    for structure in (*random_crystals(6), layered(), rock_salt(), flat):
        np.testing.assert_allclose(fingerprint(structure), neighbours_by_hand(structure), atol=1e-6)


def test_fingerprints_do_not_depend_on_cell_order_or_volume() -> None:
    crystal = random_crystals(1)[0]
    expected = fingerprint(crystal)
    shuffled = Structure.from_sites(crystal[::-1])
    shifted = crystal.copy()
    shifted.translate_sites(range(len(shifted)), [0.13, 0.71, 0.42])
    larger = crystal.copy()
    larger.scale_lattice(crystal.volume * 1.3)
    for other in (shuffled, shifted, larger, crystal * [[1, 1, 0], [0, 1, 0], [0, 1, 2]]):
        np.testing.assert_allclose(fingerprint(other), expected, atol=1e-6)


def test_small_moves_never_keep_duplicates_apart() -> None:
    rng = np.random.default_rng(1)
    for crystal in random_crystals(5):
        edge = (crystal.volume / len(crystal)) ** (1 / 3)
        moved = crystal.copy()
        for k in range(len(moved)):
            step = rng.normal(size=3)
            step *= 0.5 * SHELL_TOLERANCE * edge / np.linalg.norm(step)
            moved.translate_sites([k], step, frac_coords=False)
        assert np.abs(fingerprint(moved) - fingerprint(crystal)).max() <= SHELL_TOLERANCE
