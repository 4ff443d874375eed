"""Every hop of devi2025 and of the reference set: nothing infinite, and nothing missing without a reason."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from flows.bench.structures import WORKING_ION, reference_materials
from models.specs import GROUP_NAMES
from tasks.datasets import devi2025
from tasks.descriptors.assemble import describe_batch
from tasks.descriptors.keys import group_keys
from tasks.descriptors.persistence import MIN_POINTS, SHORTEST_BAR_ANG, bars_of
from tasks.descriptors.scene import CUTOFF_ANG, survey
from tasks.descriptors.topology import rips_inputs
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment
from tasks.hops.relax import relaxed_environments

BATCH = 20

NEEDS_CHARGES = (
    "charge", "valence", "screened_potential", "cation_repulsion", "potential_per_ang", "charge_density",
    "metal_", "polyanion_",
)  # fmt: skip
"""What is in the name of a descriptor that rests on oxidation states."""

NEEDS_RELAXATION = ("bvse_", "saddle_off_middle", "end_shift_ang", "collapsed")
NEEDS_OTHER_WORKING_IONS = "working_ion_ang"
NEEDS_FRAMEWORK = ("framework_gap_ang", "cation_")
NEEDS_METALS = "transition_metal_"
ANGLE_VARIANCE = "_bond_angle_variance_deg2"
REGULAR_CORNERS = (3.0, 4.0, 6.0)
"""Corners of polyhedra whose angles have an ideal."""


def values_of(env):
    """One hop's descriptors by group and key."""
    found = describe_batch([env])
    return {group: dict(zip(group_keys(group), found[group][0], strict=True)) for group in GROUP_NAMES}


def unexplained(env, values):
    """Missing values that no reason covers."""
    scene = survey(env)
    charged = np.isfinite(env.charges).all() and np.isfinite(env.working_ion_charge)
    relaxed = env.relaxed is not None and env.relaxed.kind != "straight"
    framework = scene.is_cation & ~scene.is_working
    far = scene.distances_ang.max(axis=0) > CUTOFF_ANG - 1e-6
    reasons = []
    if not charged:
        reasons += NEEDS_CHARGES
    if not relaxed:
        reasons += NEEDS_RELAXATION
    if far[scene.is_working].all():
        reasons.append(NEEDS_OTHER_WORKING_IONS)
    if far[framework].all():
        reasons += NEEDS_FRAMEWORK
    if values["chemistry"]["transition_metal_share"] == 0.0:
        reasons.append(NEEDS_METALS)
    wrong = [
        key
        for group in ("local", "profile", "chemistry")
        for key, value in values[group].items()
        if np.isnan(value).any()
        and not any(reason in key for reason in reasons)
        and not irregular(key, values["local"])
    ]
    return wrong + barred(scene, values["topology"], charged=charged)


def irregular(key, local):
    """Whether angles of a polyhedron have no ideal: ends, and points that tie, are means and may hide one."""
    if not key.endswith(ANGLE_VARIANCE):
        return False
    state = key.removesuffix(ANGLE_VARIANCE)
    return state != "saddle" or local["saddle_coordination_number"] not in REGULAR_CORNERS


def barred(scene, values, *, charged):
    """The same of homology: figures of bars need bars, clouds need two atoms, and some need charges."""
    long_bars = {
        f"{given.cloud}_h{dimension}": bool((bars[:, 1] - bars[:, 0] > SHORTEST_BAR_ANG).any())
        for given in rips_inputs(scene)
        for dimension, bars in enumerate(
            bars_of(given.distances_ang, given.max_dimension, given.threshold_ang)
        )
    }
    wrong = []
    for key, value in values.items():
        if not np.isnan(value):
            continue
        points = values[f"{key.split('_')[0]}_points"]
        if np.isnan(points):
            explained = not charged and key.startswith(("metal_", "polyanion_"))
        elif points < MIN_POINTS:
            explained = True
        else:
            explained = "_betti_" not in key and not long_bars[key[: key.index("_h") + 3]]
        if not explained:
            wrong.append(key)
    return wrong


def check(envs):
    wrong = {}
    for env in envs:
        values = values_of(env)
        for group in GROUP_NAMES:
            assert not any(np.isinf(value).any() for value in values[group].values())
        for key in unexplained(env, values):
            wrong[key] = wrong.get(key, 0) + 1
    assert wrong == {}


def of_devi2025(folder, step):
    for split in ("train", "test"):
        entries = devi2025.read_entries(folder, split)[::step]
        for start in range(0, len(entries), BATCH):
            for hop in devi2025.relaxed_hops(entries[start : start + BATCH], split):
                yield hop.environment


def of_reference_set(step):
    for material in list(reference_materials())[::step]:
        cuts = [
            partial(
                hop_environment, material.structure, material.charges, hop.i, hop.j, hop.image,
                working_ion=WORKING_ION, also_vacant=hop.also_vacant,
            )
            for hop in hop_network(material.structure, WORKING_ION).hops
        ]  # fmt: skip
        if cuts:
            yield from relaxed_environments(cuts)


@pytest.mark.data
def test_some_published_hops(devi2025_dir):
    check(of_devi2025(devi2025_dir, 80))


def test_some_reference_hops():
    check(of_reference_set(20))


@pytest.mark.slow
@pytest.mark.data
def test_every_published_hop(devi2025_dir):
    check(of_devi2025(devi2025_dir, 1))


@pytest.mark.slow
def test_every_reference_hop():
    check(of_reference_set(1))
