"""Relaxed paths of devi2025's hops: how many converge, and what becomes of lines that run through an atom."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tasks.datasets.devi2025 import read_entries, structure_of
from tasks.hops.path import hop_environment
from tasks.hops.relax import CONVERGED_EV_ANG, REACH_ANG, relax_paths
from tasks.hops.sites import assign_charges

pytestmark = pytest.mark.data

SEED, SOME = 7, 40
LEAST_SHARE = 0.95
RUN_THROUGH_AN_ATOM = ("LiRuO2_1", "RuO2_Li_1", "Ca2Mn2O5_2")


def environment(entry):
    structure = structure_of(entry)
    ion = structure[0].specie.symbol
    charges = assign_charges(structure)
    return hop_environment(structure, charges, 0, 1, (0, 0, 0), working_ion=ion, radius_ang=REACH_ANG)


@pytest.fixture(scope="module")
def entries(devi2025_dir):
    return [entry for split in ("train", "test") for entry in read_entries(devi2025_dir, split)]


def count(paths):
    """What became of the paths, in words, and the share that converged of those with parameters."""
    tried = [path for path in paths if not path.missing]
    converged = sum(path.converged for path in tried)
    missing = Counter(name for path in paths for name in path.missing)
    said = (
        f"{len(paths)} hops, {len(tried)} with parameters: {converged} converged, "
        f"{sum(path.collapsed for path in tried)} collapsed, "
        f"{sum(len(path.intermediates_ang) > 0 for path in tried)} split, "
        f"{sum(path.kind == 'straight' for path in tried)} run away; missing: "
        + ", ".join(f"{name} {n}" for name, n in missing.most_common())
    )
    return said, converged / len(tried)


def check(paths):
    said, share = count(paths)
    sys.stdout.write(f"\n{said}\n")
    assert share >= LEAST_SHARE, said
    for path in paths:
        assert path.missing or np.isfinite(path.residual_force_ev_ang)
        if path.kind != "straight":
            assert np.isfinite([*path.energies_ev, path.barrier_ev]).all()
            assert path.converged == (path.residual_force_ev_ang <= CONVERGED_EV_ANG)


def test_nearly_all_of_some_converge(entries):
    drawn = np.random.default_rng(SEED).choice(len(entries), SOME, replace=False)
    check(relax_paths([environment(entries[k]) for k in drawn]))


@pytest.mark.slow
def test_nearly_all_converge(entries):
    paths = relax_paths([environment(entry) for entry in entries])
    assert len(paths) == 619
    check(paths)


@pytest.mark.parametrize("name", RUN_THROUGH_AN_ATOM)
def test_a_line_through_an_atom_survives(entries, name):
    env = environment(next(entry for entry in entries if entry["sys_name"] == name))
    path = relax_paths([env])[0]
    assert cdist(env.path_ang, env.coords_ang).min() < 0.3
    assert path.kind != "straight"
    assert np.isfinite(path.energies_ev).all()
    assert path.converged == (path.residual_force_ev_ang <= CONVERGED_EV_ANG)
    # Squeezed past, if need be, where a wider way is none.
    assert cdist(path.positions_ang, env.coords_ang).min() > 0.8
    assert path.barrier_ev < 20.0


def test_a_host_without_charges_keeps_its_straight_path(entries):
    env = environment(next(entry for entry in entries if entry["sys_name"] == "Na4MnAlP3O12_2"))
    path = relax_paths([env])[0]
    assert path.kind == "straight"
    assert path.missing == ("charges",)
    assert path.converged is None
