"""The checks of the reference set: every entry passes each, and a corrupted structure does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tasks.candidates import reference, reference_checks
from tasks.candidates.reference_checks import BondValenceError

SCREENED = [entry for entry in reference.entries() if entry.expected == reference.SCREEN]
MATCHED = [entry for entry in SCREENED if entry.devi2025 is not None]

each_entry = pytest.mark.parametrize("entry", SCREENED, ids=lambda e: e.material_id)
each_matched_entry = pytest.mark.parametrize("entry", MATCHED, ids=lambda e: e.material_id)


@pytest.fixture(scope="module")
def devi2025(devi2025_dir):
    return reference_checks.devi2025_structures(devi2025_dir)


def moved(entry, index, shift):
    """The entry with one site of its asymmetric unit moved within its special position."""
    site = entry.sites[index]
    x, y, z = np.asarray(site.frac_coords) + shift
    sites = list(entry.sites)
    sites[index] = dataclasses.replace(site, frac_coords=(float(x), float(y), float(z)))
    return dataclasses.replace(entry, sites=tuple(sites))


def scaled(entry, factor):
    a, b, c, *angles = entry.lattice
    return dataclasses.replace(entry, lattice=(a * factor, b * factor, c * factor, *angles))


def rocksalt(bond_ang):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(2 * bond_ang), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@each_entry
def test_formula_is_the_declared_one(entry):
    assert reference_checks.check_formula(entry, reference.structure(entry)).passed


@each_entry
def test_space_group_is_the_declared_one(entry):
    result = reference_checks.check_space_group(entry, reference.structure(entry))
    assert result.passed, result


@each_entry
def test_no_two_atoms_are_too_close(entry):
    result = reference_checks.check_distances(entry, reference.structure(entry))
    assert result.passed, result


@each_entry
def test_bond_valence_sums_agree_with_the_valences(entry):
    result = reference_checks.check_bond_valence(entry, reference.structure(entry))
    assert result.passed, result
    assert result.value < 0.3


@each_entry
def test_volume_agrees_with_the_other_publication_where_one_is_named(entry):
    result = reference_checks.check_volume_literature(entry, reference.structure(entry))
    assert (result.passed is None) == (entry.cell_volume_per_formula_ang3 is None)
    assert result.passed is not False, result
    assert (entry.cell_volume_per_formula_ang3 is None) == (entry.cell_volume_ref is None)


@pytest.mark.data
@each_matched_entry
def test_volume_agrees_with_devi2025(entry, devi2025):
    result = reference_checks.check_volume_devi2025(entry, reference.structure(entry), devi2025)
    assert result.passed, result
    assert abs(result.value) < 0.06


@pytest.mark.data
@each_matched_entry
def test_positions_agree_with_devi2025(entry, devi2025):
    result = reference_checks.check_positions_devi2025(entry, reference.structure(entry), devi2025)
    assert result.passed is not False, result


@pytest.mark.data
def test_most_matched_positions_can_be_compared_and_a_copy_is_not_called_independent(devi2025):
    results = [
        reference_checks.check_positions_devi2025(entry, reference.structure(entry), devi2025)
        for entry in MATCHED
    ]
    assert sum(result.passed is True for result in results) >= len(MATCHED) - 3
    for entry in MATCHED:
        if entry.provenance == "devi2025":
            copy = reference_checks.check_volume_devi2025(entry, reference.structure(entry), devi2025)
            assert not copy.independent, entry.material_id


def test_devi2025_checks_are_unknown_without_the_data():
    for entry in MATCHED[:3]:
        results = {r.name: r for r in reference_checks.run_checks(entry)}
        assert results["volume_devi2025"].passed is None
        assert results["positions_devi2025"].passed is None


def test_gii_of_rocksalt_in_closed_form():
    ideal_ang = 1.360 + 0.37 * np.log(6.0)
    valences = {"Li": 1, "F": -1}
    assert reference_checks.global_instability_index_vu(rocksalt(ideal_ang), valences) == pytest.approx(
        0.0, abs=1e-9
    )
    stretched = reference_checks.global_instability_index_vu(rocksalt(ideal_ang + 0.1), valences)
    assert stretched == pytest.approx(1.0 - np.exp(-0.1 / 0.37), abs=1e-9)


def test_r0_is_interpolated_between_valences_and_missing_pairs_are_named():
    assert reference_checks.bond_valence_r0_ang("Mn", 3.5, "O") == pytest.approx((1.760 + 1.753) / 2)
    assert reference_checks.bond_valence_r0_ang("Li", 1, "O") == pytest.approx(1.466)
    with pytest.raises(BondValenceError, match="Au"):
        reference_checks.bond_valence_r0_ang("Au", 3, "O")


def test_a_wrong_coordinate_is_found_by_bond_valence():
    entry = moved(reference.get("ref-licoo2"), 2, (0, 0, 0.02))
    structure = reference.structure(entry)
    assert reference_checks.check_space_group(entry, structure).passed
    assert not reference_checks.check_bond_valence(entry, structure).passed


def test_a_wrong_coordinate_is_found_by_distances():
    entry = moved(reference.get("ref-lifepo4"), 3, (0, 0, -0.05))
    result = reference_checks.check_distances(entry, reference.structure(entry))
    assert result.passed is False
    assert result.value.startswith("O-P")


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_wrong_lattice_is_found_by_bond_valence(factor):
    entry = scaled(reference.get("ref-limn2o4"), factor)
    assert not reference_checks.check_bond_valence(entry, reference.structure(entry)).passed


def test_a_wrong_lattice_is_found_by_the_literature_volume():
    entry = scaled(reference.get("ref-lifeso4f"), 1.03)
    assert reference_checks.check_volume_literature(entry, reference.structure(entry)).passed is False


@pytest.mark.data
def test_a_wrong_lattice_and_wrong_positions_are_found_by_devi2025(devi2025):
    entry = reference.get("ref-lifepo4")
    large = scaled(entry, 1.03)
    assert reference_checks.check_volume_devi2025(large, reference.structure(large), devi2025).passed is False
    wrong = moved(entry, 1, (0.05, 0, 0))
    assert (
        reference_checks.check_positions_devi2025(wrong, reference.structure(wrong), devi2025).passed is False
    )


@pytest.mark.data
def test_the_volume_of_devi2025_holds_both_ends(devi2025):
    found = devi2025["O-LiFePO4"]
    assert found.composition.reduced_formula == "LiFePO4"


def test_a_wrong_space_group_is_found():
    entry = dataclasses.replace(reference.get("ref-licoo2"), space_group_number=12)
    result = reference_checks.check_space_group(entry, reference.structure(entry))
    assert (result.passed, result.value) == (False, 166)


def test_a_wrong_formula_is_found():
    entry = dataclasses.replace(reference.get("ref-licoo2"), formula="Li2CoO2")
    assert reference_checks.check_formula(entry, reference.structure(entry)).passed is False


def test_partial_occupancy_is_unknown_to_checks_that_need_whole_atoms():
    results = {r.name: r for r in reference_checks.run_checks(reference.get("ref-nmc111"))}
    assert results["formula"].passed is True
    assert results["distances"].passed is None
    assert results["bond_valence"].passed is None


def test_site_shift_of_one_displaced_atom():
    structure = reference.structure(reference.get("ref-lifepo4"))
    assert reference_checks.site_shift_ang(structure, structure) == pytest.approx(0.0, abs=1e-6)
    other = structure.copy()
    other.translate_sites([4], [0.0, 0.2 / structure.lattice.b, 0.0])
    # The matcher also moves the whole of one structure: by 1/28 of the shift.
    assert reference_checks.site_shift_ang(structure, other) == pytest.approx(0.2 * 27 / 28, rel=0.02)


def test_copies_and_other_determinations_are_told_apart():
    entry = reference.get("ref-lifeso4f")
    volume = reference_checks.volume_per_formula_ang3(reference.structure(entry), entry.formula)
    copied = dataclasses.replace(entry, cell_volume_per_formula_ang3=volume * 1.0001)
    assert not reference_checks.check_volume_literature(copied, reference.structure(entry)).independent
    other = dataclasses.replace(entry, cell_volume_per_formula_ang3=volume * 1.02)
    assert reference_checks.check_volume_literature(other, reference.structure(entry)).independent
