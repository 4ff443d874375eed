"""Charges: right where chemistry knows them, bounded in time, never an exception."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tasks.hops.sites import assign_charges, working_ion_sites


def by_element(structure, charges):
    """Mean charge of each element."""
    symbols = [site.specie.symbol for site in structure]
    return {
        s: float(np.mean([q for q, t in zip(charges.values, symbols, strict=True) if t == s]))
        for s in set(symbols)
    }


@pytest.mark.parametrize(
    ("name", "expected", "method"),
    [
        ("LiCoO2", {"Li": 1, "Co": 3, "O": -2}, "bond_valence"),
        ("LiFePO4", {"Li": 1, "Fe": 2, "P": 5, "O": -2}, "bond_valence"),
        ("Li2MnO3", {"Li": 1, "Mn": 4, "O": -2}, "bond_valence"),
        # One kind of manganese site cannot hold two whole charges, so composition gives the mean.
        ("LiMn2O4", {"Li": 1, "Mn": 3.5, "O": -2}, "composition"),
    ],
)
def test_known_charges(structures, name, expected, method):
    charges = assign_charges(structures[name])
    assert charges.method == method
    assert by_element(structures[name], charges) == pytest.approx(expected)
    assert sum(charges.values) == pytest.approx(0.0)


def test_supercell_has_the_same_charges(structures):
    crystal = structures["LiFePO4"] * (2, 2, 2)
    charges = assign_charges(crystal)
    assert charges.method == "bond_valence"
    assert by_element(crystal, charges) == pytest.approx({"Li": 1, "Fe": 2, "P": 5, "O": -2})


def test_given_charges_are_not_believed(structures):
    crystal = structures["LiCoO2"].copy()
    crystal.add_oxidation_state_by_element({"Li": 1, "Co": 5, "O": -3})
    assert by_element(crystal, assign_charges(crystal)) == pytest.approx({"Li": 1, "Co": 3, "O": -2})


@pytest.mark.parametrize("species", [["Li", "Fe"], ["Xe", "Li"], ["Li", "Li"], ["Li", "Og"]])
def test_what_has_no_charges_says_so(species):
    alloy = Structure(Lattice.cubic(3.0), species, [[0, 0, 0], [0.5, 0.5, 0.5]])
    charges = assign_charges(alloy)
    assert charges.method is None
    assert charges.values == (None, None)


def test_large_disordered_cell_takes_bounded_time():
    rng = np.random.default_rng(0)
    species = ["Li"] * 17 + ["Mn"] * 20 + ["Fe"] * 13 + ["P"] * 30 + ["O"] * 120
    glass = Structure(Lattice.cubic(13.0), species, rng.random((200, 3)))
    start = time.perf_counter()
    charges = assign_charges(glass)
    assert time.perf_counter() - start < 20.0
    assert len(charges.values) == 200


def test_working_ion_sites(structures):
    assert working_ion_sites(structures["LiFePO4"], "Li") == (0, 1, 2, 3)
    assert working_ion_sites(structures["LiFePO4"], "Na") == ()
