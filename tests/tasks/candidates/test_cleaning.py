"""Cleaning: what is refused and why, and that equal crystals become equal candidates."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from storage.records import Reason
from tasks.candidates.cleaning import (
    DENSEST_ANG3,
    MAX_RAW_SITES,
    OVERLAP_ANG,
    CleaningSettings,
    clean,
    find_overlap,
    load_structure,
    merge_duplicates,
    ordered_primitive_cell,
    structure_hash,
)
from tasks.candidates.source import RawMaterial, RejectedError
from tests.campaigns import layered

SETTINGS = CleaningSettings()


def raw(structure: Structure, name: str = "x") -> RawMaterial:
    return RawMaterial(material_id=name, structure=structure, source="files")


def rock_salt(a: float = 4.02) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])


BAD = {
    Reason.NO_WORKING_ION: Structure(Lattice.cubic(4), ["Na", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    Reason.PARTIAL_OCCUPANCY: Structure(
        Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}, "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    Reason.OVERLAPPING_ATOMS: Structure(
        Lattice.cubic(4), ["Li", "F", "F"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.6]]
    ),
    Reason.SINGLE_SITE: Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]]),
    Reason.NO_ANIONS: Structure(Lattice.cubic(4), ["Li", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    Reason.TOO_MANY_SITES: rock_salt(),
    Reason.UNREADABLE_FILE: Structure(Lattice.cubic(4), ["Li", DummySpecies("Xx")], [[0, 0, 0], [0.5] * 3]),
}


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_screened_is_refused_with_its_reason(reason: Reason) -> None:
    settings = CleaningSettings(max_sites=1) if reason is Reason.TOO_MANY_SITES else SETTINGS
    with pytest.raises(RejectedError, match="x") as caught:
        clean(raw(BAD[reason]), settings, "key")
    assert caught.value.reason is reason
    assert caught.value.formula == BAD[reason].composition.reduced_formula


def test_too_large_a_cell_is_refused_before_anything_else_looks_at_it(monkeypatch) -> None:
    monkeypatch.setattr(Structure, "is_ordered", property(lambda _self: pytest.fail("looked at")))
    huge = rock_salt() * (9, 9, 8)
    assert len(huge) > MAX_RAW_SITES
    with pytest.raises(
        RejectedError, match=r"x has 5184 sites, allowed are 5000 .*give the primitive"
    ) as caught:
        clean(raw(huge), SETTINGS, "key")
    assert caught.value.reason is Reason.TOO_MANY_SITES


@pytest.mark.parametrize("direction", [0, 1, 2])
def test_an_atom_too_near_its_own_image_is_refused(direction: int) -> None:
    sides = [4.0, 4.0, 4.0]
    sides[direction] = 0.6
    thin = Structure(Lattice.orthorhombic(*sides), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(RejectedError, match=r"0\.60 Å from its own image") as caught:
        clean(raw(thin), SETTINGS, "key")
    assert caught.value.reason is Reason.OVERLAPPING_ATOMS


def shortest_ang(structure: Structure) -> float:
    """Return the shortest distance between atoms, own images included, by trying 7 x 7 x 7 cells."""
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    frac = structure.frac_coords
    vectors = (frac[:, None, None] - frac[None, :, None] + steps) @ structure.lattice.matrix
    lengths = np.linalg.norm(vectors, axis=-1)
    itself = np.eye(len(frac), dtype=bool)[:, :, None] & (steps == 0).all(axis=1)
    return float(lengths[~itself].min())


def test_overlaps_are_those_of_a_search_by_hand() -> None:
    rng = np.random.default_rng(3)
    answers = []
    for _ in range(60):
        lattice = Lattice(rng.normal(size=(3, 3)) * 0.9 + np.eye(3) * rng.uniform(1.0, 3.0))
        structure = Structure(lattice, ["Li", "F", "O"], rng.uniform(-1, 2, size=(3, 3)))
        answers.append(shortest_ang(structure) < OVERLAP_ANG)
        assert (find_overlap(structure) is not None) == answers[-1]
    assert 10 < sum(answers) < 50


def test_the_densest_packing_just_passes_and_anything_denser_does_not() -> None:
    for scale, expected in ((1.001, False), (0.999, True)):
        packed = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(OVERLAP_ANG * 2**0.5 * scale), ["Li"], [[0, 0, 0]]
        )
        assert packed.volume / len(packed) == pytest.approx(DENSEST_ANG3 * scale**3)
        assert (find_overlap(packed) is not None) == expected


def test_looking_for_overlaps_takes_little_memory() -> None:
    n = MAX_RAW_SITES
    heap = Structure(Lattice.cubic(60.0), ["Li"] * n, np.full((n, 3), 0.5))
    crystal = rock_salt() * (8, 8, 9)
    for structure, expected in ((heap, True), (crystal, False)):
        tracemalloc.start()
        assert (find_overlap(structure) is not None) == expected
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        # One matrix of 5000 x 5000 numbers has 200 MB.
        assert peak_mb < 150


def test_a_candidate_says_what_it_is() -> None:
    candidate = clean(raw(rock_salt()), SETTINGS, "key")
    assert (candidate.formula, candidate.n_sites, candidate.n_working_ions) == ("LiF", 2, 1)
    assert (candidate.space_group_number, candidate.space_group_symbol) == (225, "Fm-3m")
    assert candidate.volume_ang3 == pytest.approx(4.02**3 / 4, rel=1e-6)
    # 26801.48 mAh/mol over 25.939 g/mol.
    assert candidate.capacity_mah_g == pytest.approx(1033.25, abs=0.1)
    assert candidate.oxidation_method is not None


def test_what_is_stored_is_what_was_digested() -> None:
    candidate = clean(raw(rock_salt()), SETTINGS, "key")
    assert structure_hash(load_structure(candidate)) == candidate.structure_hash


def test_working_ions_come_first_and_charges_go() -> None:
    charged = rock_salt()
    charged.add_oxidation_state_by_element({"Li": 1, "F": -1})
    plain = ordered_primitive_cell(rock_salt(), "F")
    assert [site.species_string for site in plain] == ["F", "Li"]
    assert structure_hash(ordered_primitive_cell(charged, "F")) == structure_hash(plain)


def test_site_order_and_supercell_do_not_make_another_material() -> None:
    structure = rock_salt()
    shuffled = Structure.from_sites(
        [structure[k] for k in np.random.default_rng(0).permutation(len(structure))]
    )
    shifted = structure.copy()
    shifted.translate_sites(list(range(len(shifted))), [0.13, 0.21, 0.34])
    shapes = [structure, shuffled, shifted, structure * (2, 1, 1)]
    candidates = [clean(raw(shape, str(k)), SETTINGS, "key") for k, shape in enumerate(shapes)]
    assert {candidate.n_sites for candidate in candidates} == {2}
    assert set(merge_duplicates(candidates).values()) == {candidates[0].structure_hash}


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
