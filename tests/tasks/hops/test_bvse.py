"""Bond-valence site energies against the written formula and against the package the parameters come from."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from ase.data import covalent_radii
from ions.data import bvse_data
from pymatgen.core import Element

from flows.bench.ions_neb import cluster, true_forces
from tasks.hops.bvse import (
    COULOMB_EV_ANG,
    SCREENING_FACTOR,
    bvse_tables_digest,
    missing_parameters,
    pair_parameters,
    site_energy_ev,
)
from tasks.hops.bvse_table import ION_CHARGES, MORSE
from tests.tasks.hops.rigid_hosts import hop_of

ROUNDING_EV = 1e-9


def energy_by_hand(working_ion, position, coords, numbers, charges):
    """The formula atom by atom, in plain Python."""
    total, ion = 0.0, Element(working_ion)
    for xyz, z, q in zip(coords.tolist(), numbers.tolist(), charges.tolist(), strict=True):
        r = math.dist(position, xyz)
        other = Element.from_Z(z)
        if q < 0:
            _, r_min, alpha, depth = MORSE[working_ion, other.symbol]
            total += depth / 2 * ((math.exp(alpha * (r_min - r)) - 1) ** 2 - 1)
        elif q > 0:
            reach = SCREENING_FACTOR * (covalent_radii[ion.Z] + covalent_radii[z])
            strength = COULOMB_EV_ANG * ION_CHARGES[working_ion] * q / math.sqrt(ion.row * other.row)
            total += strength / r * math.erfc(r / reach)
    return total


@pytest.mark.parametrize("name", ["LiFePO4", "LiCoO2", "LiMn2O4"])
def test_energy_is_the_formula_summed_in_plain_python(structures, name):
    env = hop_of(structures[name])
    parameters = pair_parameters("Li", env.numbers, env.charges)
    ours = site_energy_ev(env.path_ang, env.coords_ang, parameters)
    host = (env.coords_ang, env.numbers, env.charges)
    by_hand = [energy_by_hand("Li", x, *host) for x in env.path_ang.tolist()]
    assert ours == pytest.approx(by_hand, abs=ROUNDING_EV)
    assert np.ptp(ours) > 0.1


@pytest.mark.parametrize("name", ["LiFePO4", "LiCoO2", "LiMn2O4"])
def test_energy_is_that_of_ions(structures, name):
    env = hop_of(structures[name])
    ours = site_energy_ev(env.path_ang, env.coords_ang, pair_parameters("Li", env.numbers, env.charges))
    atoms = cluster(env, cutoff_ang=60.0)
    theirs = []
    for position in env.path_ang:
        atoms.positions[0] = position
        theirs.append(atoms.get_potential_energy())
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_forces_of_ions_are_no_gradient_until_divided_by_the_distance(structures):
    """What the comparison of paths rests on; when a later version mends it, `true_forces` has to go."""
    env = hop_of(structures["LiFePO4"])
    parameters = pair_parameters("Li", env.numbers, env.charges)
    position = env.path_ang[5]
    step = 1e-5 * np.eye(3)
    up, down = (site_energy_ev(position + s * step, env.coords_ang, parameters) for s in (1, -1))
    gradient = (up - down) / 2e-5
    atoms = cluster(env, cutoff_ang=60.0)
    atoms.positions[0] = position
    assert np.abs(atoms.get_forces()[0] + gradient).max() > 0.1
    with true_forces():
        atoms.calc.reset()
        assert atoms.get_forces()[0] == pytest.approx(-gradient, abs=1e-6)


def test_every_figure_is_that_of_ions():
    theirs = {
        (ion, anion): (float(charge), row["r_min"], row["alpha"], row["d0"])
        for ion, state in ION_CHARGES.items()
        for anion, states in bvse_data[ion][state].items()
        for charge, row in states.items()
        if charge < 0
    }
    assert theirs == MORSE
    assert len(theirs) == 52


def test_what_is_missing_is_named():
    oxygen, iron, nitrogen = 8, 26, 7
    assert missing_parameters("Li", [oxygen, iron], [-2.0, 3.0]) == ()
    assert missing_parameters("Li", [oxygen, iron], [-1.9, 3.0]) == ()
    assert missing_parameters("Na", [nitrogen, nitrogen, iron], [-3.0, -3.0, 2.0]) == ("Na-N3-",)
    assert missing_parameters("Li", [oxygen], [-1.0]) == ("Li-O1-",)
    assert missing_parameters("Sr", [oxygen], [-2.0]) == ("Sr",)
    assert missing_parameters("Li", [oxygen, iron], [-2.0, None]) == ("charges",)
    assert missing_parameters("Li", [oxygen, iron], [-2.0, math.nan]) == ("charges",)


def test_nothing_is_made_up_for_a_pair_without_parameters():
    with pytest.raises(KeyError, match="no BVSE parameters for Na with N3-"):
        pair_parameters("Na", np.array([7]), np.array([-3.0]))


def test_neutral_atoms_take_no_part():
    found = pair_parameters("Li", np.array([26, 8]), np.array([0.0, 0.0]))
    energy = site_energy_ev(np.zeros((1, 3)), np.array([[1.0, 0, 0], [0, 1.0, 0]]), found)
    assert energy == pytest.approx([0.0])


def test_digest_moves_with_every_figure(monkeypatch):
    before = bvse_tables_digest()
    r_min = MORSE["Li", "O"]
    monkeypatch.setitem(MORSE, ("Li", "O"), (r_min[0], r_min[1] + sys.float_info.epsilon * 4, *r_min[2:]))
    bvse_tables_digest.cache_clear()
    try:
        assert bvse_tables_digest() != before
    finally:
        monkeypatch.undo()
        bvse_tables_digest.cache_clear()
    assert bvse_tables_digest() == before
