"""The direct search for operations finds what spglib finds, or leaves it to spglib."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from tasks.candidates.reference import ReferenceSource
from tasks.datasets import devi2025
from tasks.hops.isometries import direct_operations
from tasks.hops.network import hop_network
from tasks.hops.symmetry import primitive_cell, spglib_cell
from tests.tasks.hops import crystals
from tests.tasks.hops.test_network_invariance import CRYSTALS

SYMPREC_ANG = 0.01


def primitive(structure):
    """The structure in its primitive cell."""
    cell = primitive_cell(structure, SYMPREC_ANG)
    return Structure(cell.lattice, [structure.species[k] for k in cell.sites], cell.frac)


def check_as_spglib(structure):
    """Compare rotations exactly, and translations within what symprec leaves open."""
    rotations, translations = direct_operations(spglib_cell(structure), SYMPREC_ANG)
    expected = crystals.dataset_of(structure, SYMPREC_ANG)
    found = {tuple(r.ravel().tolist()): t for r, t in zip(rotations, translations, strict=True)}
    wanted = {
        tuple(r.ravel().tolist()): t for r, t in zip(expected.rotations, expected.translations, strict=True)
    }
    assert len(found) == len(rotations)
    assert found.keys() == wanted.keys()
    for key, translation in found.items():
        apart = translation - wanted[key]
        assert np.linalg.norm((apart - np.rint(apart)) @ structure.lattice.matrix) < 3 * SYMPREC_ANG


@pytest.mark.parametrize("name", CRYSTALS)
def test_operations_are_those_of_spglib(name):
    check_as_spglib(primitive(CRYSTALS[name]()))


@given(name=st.sampled_from(sorted(CRYSTALS)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_operations_are_those_of_spglib_in_skewed_and_noisy_cells(name, seed):
    rng = np.random.default_rng(seed)
    crystal = primitive(CRYSTALS[name]())
    basis = np.eye(3, dtype=int)
    for _ in range(3):
        row, other = rng.permutation(3)[:2]
        basis[row] += int(rng.integers(-1, 2)) * basis[other]
    lattice = basis @ crystal.lattice.matrix
    noise = rng.normal(scale=3e-4, size=(len(crystal), 3)) @ np.linalg.inv(lattice)
    check_as_spglib(Structure(lattice, crystal.species, crystal.frac_coords @ np.linalg.inv(basis) + noise))


def test_operations_of_the_reference_set_are_those_of_spglib():
    source = ReferenceSource()
    for item in source.items()[::3]:
        structure = source.read(item)[0].structure
        if structure.is_ordered:
            check_as_spglib(primitive(structure))


@pytest.mark.slow
@pytest.mark.data
def test_operations_of_devi2025_are_those_of_spglib(devi2025_dir):
    for entry in devi2025.read_entries(devi2025_dir, "test"):
        structure = primitive(devi2025.structure_of(entry))
        if direct_operations(spglib_cell(structure), SYMPREC_ANG) is not None:
            check_as_spglib(structure)


@pytest.mark.parametrize("name", ["R-3m", "Fm-3m", "C2/m"])
def test_cells_that_are_not_primitive_are_left_to_spglib(name):
    assert direct_operations(spglib_cell(CRYSTALS[name]()), SYMPREC_ANG) is None


def test_what_is_left_to_spglib_gives_the_same_network(monkeypatch):
    crystal = primitive(CRYSTALS["Fd-3m"]())
    direct = hop_network(crystal, "Li")
    monkeypatch.setattr("tasks.hops.points.direct_operations", lambda *_: None)
    assert hop_network(crystal, "Li") == direct


def test_what_is_no_group_is_left_to_spglib():
    # Noise near symprec keeps some operations and not their products.
    lattice = np.diag([3.0, 4.0, 5.0])
    rng = np.random.default_rng(3)
    for scale in (0.003, 0.004, 0.005, 0.006):
        frac = np.array(
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.25, 0.75, 0.75]]
        )
        moved = frac + rng.normal(scale=scale, size=frac.shape) @ np.linalg.inv(lattice)
        found = direct_operations((lattice, moved, np.array([3, 26, 8, 8, 8])), SYMPREC_ANG)
        if found is not None:
            keys = {tuple(r.ravel().tolist()) for r in found[0]}
            assert all(tuple((a @ b).ravel().tolist()) in keys for a in found[0] for b in found[0])
