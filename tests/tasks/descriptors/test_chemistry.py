"""Chemistry of a composition that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.descriptors import elements
from tasks.descriptors.chemistry import chemistry
from tasks.descriptors.elements import atomic_number, element_table, table_digest
from tasks.descriptors.errors import DescriptorError
from tasks.descriptors.keys import group_keys
from tasks.descriptors.scene import find_anions, survey


def named(values):
    return dict(zip(group_keys("chemistry"), values.tolist(), strict=True))


def test_layered_oxide(crystal_hops):
    env = crystal_hops["layered"].environment()
    values = named(chemistry(env))
    volume = 2.816**2 * np.sqrt(3.0) / 2.0 * 14.05
    expected = {
        "ion_is_Li": 1.0, "ion_is_Na": 0.0, "ion_charge": 1.0, "ion_radius_ang": 0.9,
        "ion_potential_per_ang": 1 / 0.9, "ion_mass_u": 6.94, "ion_electronegativity": 0.98,
        "anion_is_O": 1.0, "anion_is_F": 0.0, "volume_per_atom_ang3": volume / 12.0,
        "volume_per_anion_ang3": volume / 6.0, "working_ion_share": 0.25, "working_ions_per_anion": 0.5,
        "host_working_ion_share": 1.0, "transition_metal_share": 0.25, "lanthanide_share": 0.0,
        "small_cation_share": 0.0, "n_elements": 3.0, "anion_electronegativity": 3.44,
        "electronegativity_mean": (0.98 + 1.88 + 2 * 3.44) / 4.0, "anion_charge_mean": -2.0,
        "cation_charge_mean": 3.0, "cation_charge_std": 0.0, "cation_electronegativity_std": 0.0,
        "cation_electronegativity_min": 1.88, "anion_radius_ang": 1.26, "cation_row_mean": 4.0,
        "transition_metal_group": 9.0, "transition_metal_row": 4.0,
    }  # fmt: skip
    assert {key: values[key] for key in expected} == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_polarisabilities(crystal_hops):
    # In atomic units: Li 164.1125, Co 55, O 5.3; a cubic Bohr radius is 0.148185 Å³.
    unit = 0.148184711
    values = named(chemistry(crystal_hops["layered"].environment()))
    assert values["polarisability_ang3"] == pytest.approx(unit * (164.1125 + 55.0 + 2 * 5.3) / 4.0)
    assert values["anion_polarisability_ang3"] == pytest.approx(unit * 5.3)
    assert values["cation_polarisability_ang3"] == pytest.approx(unit * 55.0)
    table = element_table().polarisability_ang3
    assert np.isnan(table[0])
    assert (table[1:] > 0.0).all()
    for symbol, figure in {"H": 4.50711, "F": 3.74, "S": 19.4, "Fe": 62.0, "I": 32.9, "Cs": 400.9}.items():
        assert table[atomic_number(symbol)] == pytest.approx(unit * figure)


def test_polarisabilities_are_part_of_the_digest(monkeypatch):
    table = element_table()
    changed = replace(table, polarisability_ang3=table.polarisability_ang3 * 1.01)
    before = table_digest.__wrapped__()
    assert before == table_digest()
    monkeypatch.setattr(elements, "element_table", lambda: changed)
    assert table_digest.__wrapped__() != before


def test_anions_of_a_layered_oxide_are_nearly_close_packed(crystal_hops):
    env = crystal_hops["layered"].environment()
    values = named(chemistry(env))
    anions = env.coords_ang[env.charges < 0.0]
    apart = np.linalg.norm(anions[:, None] - anions[None], axis=2)
    assert values["anion_anion_ang"] == pytest.approx(apart[apart > 0.1].min(), abs=1e-4)
    assert 10.0 < values["anion_neighbours"] < 12.5
    assert values["anion_q6"] == pytest.approx(0.574, abs=0.05)


def test_polyanions_are_seen(crystal_hops):
    values = named(chemistry(crystal_hops["olivine"].environment()))
    assert values["small_cation_share"] == pytest.approx(1.0 / 7.0)
    assert values["cation_electronegativity_max"] == pytest.approx(2.19)
    assert values["transition_metal_group"] == pytest.approx(8.0)


def test_host_without_cations_is_masked(place):
    env = replace(place([0, 0, 0], [0, 0, 3], np.array([[2.0, 0, 0]])), composition={"Li": 2.0, "O": 1.0})
    values = named(chemistry(env))
    assert np.isnan(values["cation_charge_mean"])
    assert np.isnan(values["cation_radius_ang_min"])
    assert np.isnan(values["transition_metal_group"])
    assert values["transition_metal_share"] == 0.0


def test_anions_without_charges_follow_what_binds_them(place):
    # A sulfate's S is bound to O; a sulfide's is not; Co is never an anion.
    sulfur = np.array([0.0, 0.0, 4.0])
    bonds = 1.47 / np.sqrt(3.0) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    coords = np.concatenate([[sulfur], sulfur + bonds, [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]])
    env = replace(
        place([0, 0, 0], [0, 0, 2], np.zeros((7, 3))),
        coords_ang=coords,
        numbers=np.array([16, 8, 8, 8, 8, 16, 27]),
        charges=np.full(7, np.nan),
    )
    assert find_anions(env).tolist() == [False, True, True, True, True, True, False]
    known = replace(env, charges=np.array([6.0, -2.0, -2.0, -2.0, -2.0, 4.0, 0.0]))
    assert find_anions(known).tolist() == [False, True, True, True, True, False, False]


def test_environments_that_cannot_be_described_are_refused(place):
    env = place([0, 0, 0], [0, 0, 3], np.array([[2.0, 0, 0]]))
    with pytest.raises(DescriptorError, match=r"5\.0 Å; descriptors need 8\.0"):
        survey(replace(env, radius_ang=5.0))
    with pytest.raises(DescriptorError, match="11 points"):
        survey(replace(env, path_ang=env.path_ang[::2]))
    with pytest.raises(DescriptorError, match="No anion"):
        survey(replace(env, numbers=np.array([27]), charges=np.array([3.0])))
