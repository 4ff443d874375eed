"""Cleaning: what is refused and why, and that equal crystals become equal candidates."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from storage.records import Reason
from tasks.candidates.cleaning import (
    CleaningSettings,
    clean,
    load_structure,
    merge_duplicates,
    ordered_primitive_cell,
    structure_hash,
)
from tasks.candidates.source import RawMaterial, RejectedError

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
}


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_screened_is_refused_with_its_reason(reason: Reason) -> None:
    settings = CleaningSettings(max_sites=1) if reason is Reason.TOO_MANY_SITES else SETTINGS
    with pytest.raises(RejectedError, match="x") as caught:
        clean(raw(BAD[reason]), settings, "key")
    assert caught.value.reason is reason
    assert caught.value.formula == BAD[reason].composition.reduced_formula


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
