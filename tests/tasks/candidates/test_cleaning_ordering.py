"""Ordering: whole atoms in the smallest cell, the lowest Ewald energy of all, the same every time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from storage.records import Reason
from tasks.candidates import cleaning_ordering
from tasks.candidates.cleaning import CleaningSettings, clean, load_structure
from tasks.candidates.cleaning_ordering import order
from tasks.candidates.source import RejectedError
from tests.tasks.candidates.test_cleaning import raw, rock_salt

ORDERING = CleaningSettings(order_disorder=True)


def layered(metals: dict[str, float], lithium: float = 1.0) -> Structure:
    return Structure.from_spacegroup(
        "R-3m",
        Lattice.hexagonal(2.86, 14.2),
        [{"Li": lithium}, metals, "O"],
        [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]],
    )


def amounts(structure: Structure) -> dict[str, float]:
    return structure.composition.fractional_composition.get_el_amt_dict()


@pytest.mark.parametrize(
    ("metals", "cells"),
    [({"Ni": 0.5, "Mn": 0.5}, 2), ({"Ni": 0.333, "Mn": 0.333, "Co": 0.334}, 3), ({"Ni": 0.8, "Co": 0.2}, 5)],
)
def test_whole_atoms_in_the_smallest_cell(metals, cells) -> None:
    given = layered(metals)
    found, text = order(given, "x")
    assert found.is_ordered
    assert len(found) == 4 * cells
    for symbol, share in amounts(given).items():
        assert amounts(found)[symbol] == pytest.approx(share, abs=0.005)
    assert "Ewald" in text
    assert all(str(element) in text for element in metals)


def test_a_distortion_is_not_averaged_away() -> None:
    cell = layered({"Ni": 0.5, "Mn": 0.5})
    cell.make_supercell([2, 1, 1])
    assert len(order(cell, "x")[0]) == 8
    cell.translate_sites([0], [0, 0, 0.005])  # by 0.07 Å
    assert len(order(cell, "x")[0]) == len(cell)
    assert len(order(cell, "x", symprec_ang=0.2)[0]) == 8


def test_vacancies_are_atoms_left_out() -> None:
    found, _ = order(layered({"Co": 1.0}, lithium=0.5), "x")
    assert found.composition.reduced_formula == "Li(CoO2)2"


def test_the_lowest_of_all_arrangements_is_found() -> None:
    given = layered({"Co": 1.0}, lithium=0.25)
    found, text = order(given, "x")
    cell = given.get_primitive_structure()
    cell.make_supercell([int(n) for n in text.split(" in ")[1].split(" ")[0].split("x")])
    sites = [k for k, site in enumerate(cell) if not site.is_ordered]
    energies = []
    for kept in itertools.combinations(sites, len(sites) // 4):
        one = Structure.from_sites([site for k, site in enumerate(cell) if k not in sites])
        for k in kept:
            one.append("Li", cell[k].frac_coords)
        charged = one.copy()
        charged.add_oxidation_state_by_element({"Li": 1, "Co": 3.75, "O": -2})
        energies.append(EwaldSummation(charged).total_energy)
    ours = found.copy()
    ours.add_oxidation_state_by_element({"Li": 1, "Co": 3.75, "O": -2})
    assert EwaldSummation(ours).total_energy == pytest.approx(min(energies), abs=1e-3)
    assert f"of {len(energies)} arrangements" in text


def test_the_order_of_a_file_does_not_decide() -> None:
    given = layered({"Ni": 0.5, "Mn": 0.5}, lithium=0.5)
    rng = np.random.default_rng(2)
    rows = []
    for _ in range(3):
        shuffled = Structure.from_sites([given[int(k)] for k in rng.permutation(len(given))])
        rows.append(clean(raw(shuffled), ORDERING, "key"))
    assert len({row.structure_hash for row in rows}) == 1
    assert rows[0] == clean(raw(given), ORDERING, "key")


def test_the_row_says_how_it_was_ordered() -> None:
    row = clean(raw(layered({"Ni": 0.5, "Mn": 0.5})), ORDERING, "key")
    assert row.ordering is not None
    assert "Mn0.5 Ni0.5" in row.ordering
    assert row.formula == load_structure(row).composition.reduced_formula == "Li2MnNiO4"
    assert clean(raw(rock_salt()), ORDERING, "key").ordering is None


def refused(structure: Structure) -> str:
    with pytest.raises(RejectedError) as caught:
        clean(raw(structure), ORDERING, "key")
    assert caught.value.reason is Reason.PARTIAL_OCCUPANCY
    assert caught.value.formula == structure.composition.reduced_formula
    return str(caught.value)


def test_occupancies_that_no_small_cell_holds_are_refused() -> None:
    assert "Li0.97" in refused(layered({"Co": 1.0}, lithium=0.97))


@pytest.mark.parametrize("atoms", [(11 + 1 / 3, 11 + 1 / 3), (32 + 1 / 3, 1 + 1 / 3)])
def test_thirds_of_atoms_leave_no_site_out(atoms) -> None:
    # Of 34 sites, no two of them alike by translation, the nearest whole numbers would fill 33.
    nickel, manganese = (number / 34 for number in atoms)
    mixture = {"Ni": nickel, "Mn": manganese, "Co": 1.0 - nickel - manganese}
    wobble = 0.02 * np.sin(np.arange(34.0) ** 2)
    cations = [[k / 34 + dz / 34, 0.0, 0.0] for k, dz in enumerate(wobble)]
    anions = [[k / 34 + dz / 34, 0.5, 0.5] for k, dz in enumerate(wobble)]
    cell = Structure(
        Lattice.orthorhombic(34 * 3.0, 3.0, 3.0), [mixture] * 34 + ["O"] * 34, [*cations, *anions]
    )
    with pytest.raises(RejectedError, match="give whole atoms in no cell") as caught:
        order(cell, "x")
    assert caught.value.reason is Reason.PARTIAL_OCCUPANCY


def test_thirds_to_two_digits_are_a_full_site() -> None:
    found, _ = order(layered({"Ni": 0.33, "Mn": 0.33, "Co": 0.33}), "x")
    assert found.composition.reduced_formula == "Li3MnCoNiO6"


def test_an_arrangement_that_lacks_an_atom_is_refused(monkeypatch) -> None:
    real = cleaning_ordering._lowest

    def losing_one(*args):
        found = real(*args)
        found.remove_sites([0])
        return found

    monkeypatch.setattr(cleaning_ordering, "_lowest", losing_one)
    assert "which is another material" in refused(layered({"Ni": 0.5, "Mn": 0.5}))


def test_states_that_do_not_balance_are_refused() -> None:
    salt = Structure(Lattice.cubic(4.1), [{"Li": 0.5, "Mg": 0.5}, "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert "oxidation states" in refused(salt)


def test_too_many_ways_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(cleaning_ordering, "MAX_ARRANGEMENTS", 1)
    assert "2 ways" in refused(layered({"Ni": 0.5, "Mn": 0.5}))


def test_atoms_that_an_ordering_lays_on_each_other_are_refused() -> None:
    near = Structure(
        Lattice.cubic(4.2),
        ["Li", {"O": 0.5}, {"O": 0.5}, {"Li": 0.5}, {"Li": 0.5}],
        [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.52], [0.5, 0.5, 0.45], [0.5, 0.5, 0.57]],
    )
    with pytest.raises(RejectedError) as caught:
        clean(raw(near), ORDERING, "key")
    assert caught.value.reason is Reason.OVERLAPPING_ATOMS
