"""Relaxed paths beside the calculator of `ions` in ASE's NEB, from the same hosts, ends and first images.

The peer's energies are its own. Its published forces are not their gradient (see `flows.bench.ions_neb`), so
that it is given true ones here; a test at the end shows where its own lead.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flows.bench.ions_neb import PeerPath, relax, true_forces
from flows.bench.structures import reference_materials
from tasks.datasets.devi2025 import read_entries, structure_of
from tasks.hops.bvse import missing_parameters, pair_parameters, site_energy_ev
from tasks.hops.neb import NebSettings
from tasks.hops.network import hop_network
from tasks.hops.path import HopEnvironment, hop_environment
from tasks.hops.relax import REACH_ANG, relax_paths, starting_chains
from tasks.hops.sites import assign_charges
from tests.tasks.hops.conftest import olivine
from tests.tasks.hops.rigid_hosts import hop_of

if TYPE_CHECKING:
    from tasks.hops.relaxed_path import RelaxedPath

SEED = 20260722
AGREEMENT_EV = 0.02
OTHER_PLACE_ANG = 0.3
STATIONARY_EV_ANG = 0.05
SETTINGS = NebSettings(tolerance_ev_ang=0.01, max_steps=2000)
HALF = 30


@dataclass(frozen=True)
class Compared:
    name: str
    env: HopEnvironment
    ours: RelaxedPath
    peer: PeerPath

    @property
    def apart_ev(self):
        return abs(self.ours.barrier_ev - self.peer.barrier_ev)

    @property
    def agrees(self):
        return self.apart_ev <= AGREEMENT_EV

    @property
    def cause(self):
        """Why the two disagree, as far as it can be shown; None where it cannot."""
        top = self.peer.positions_ang[int(np.argmax(self.peer.energies_ev))]
        away_ang = float(np.linalg.norm(top - self.ours.saddle_ang))
        if self.ours.kind == "straight":
            return "our path ran away and was given up"
        if not self.peer.converged:
            return f"the peer did not converge in {self.peer.steps} steps"
        if not self.ours.converged or self.ours.residual_force_ev_ang > SETTINGS.tolerance_ev_ang:
            return f"we did not converge ({self.ours.residual_force_ev_ang:.3f} eV/Å)"
        if away_ang > OTHER_PLACE_ANG and slope_of(self.env, top) < STATIONARY_EV_ANG:
            splits = len(self.ours.intermediates_ang)
            return f"another saddle, {away_ang:.2f} Å away; we split the path {splits} times"
        return None

    def __str__(self):
        return (
            f"{self.name}: ours {self.ours.barrier_ev:.4f}, peer {self.peer.barrier_ev:.4f} eV "
            f"after {self.peer.steps} steps: {self.cause}"
        )


def slope_of(env, point):
    step = 1e-5 * np.eye(3)
    parameters = pair_parameters(env.working_ion, env.numbers, env.charges)
    up, down = (site_energy_ev(point + s * step, env.coords_ang, parameters) for s in (1, -1))
    return float(np.linalg.norm((up - down) / 2e-5))


def of_devi2025(folder, count):
    """So many of its hops with parameters, drawn from all of them."""
    entries = [(split, entry) for split in ("train", "test") for entry in read_entries(folder, split)]
    drawn = []
    for k in np.random.default_rng(SEED).permutation(len(entries)):
        split, entry = entries[k]
        structure = structure_of(entry)
        ion = structure[0].specie.symbol
        env = hop_environment(
            structure, assign_charges(structure), 0, 1, (0, 0, 0), working_ion=ion, radius_ang=REACH_ANG
        )
        if not missing_parameters(ion, env.numbers, env.charges):
            drawn.append((f"{split}-{entry['jid']} {entry['sys_name']}", env))
        if len(drawn) == count:
            break
    return drawn


def of_the_reference_set(count):
    """So many of its hops, drawn from all within the default cutoff."""
    listed = [
        (material, hop)
        for material in reference_materials()
        for hop in hop_network(material.structure, "Li").hops
    ]
    drawn = []
    for k in np.random.default_rng(SEED).choice(len(listed), count, replace=False):
        material, hop = listed[k]
        env = hop_environment(
            material.structure, material.charges, hop.i, hop.j, hop.image,
            working_ion="Li", radius_ang=REACH_ANG, also_vacant=hop.also_vacant,
        )  # fmt: skip
        drawn.append((f"{material.name} {hop.i}-{hop.j}{hop.image}", env))
    return drawn


def compare(named):
    """Ours in one batch, the peer's one by one, with forces that are the gradient."""
    envs = [trimmed(env) for _, env in named]
    ours = relax_paths(envs, SETTINGS)
    chains = starting_chains(envs, SETTINGS)
    compared = []
    for (name, _), env, path, chain in zip(named, envs, ours, chains, strict=True):
        with true_forces(), warnings.catch_warnings():
            # An image that starts inside an atom overflows the peer's exponentials for a step.
            warnings.simplefilter("ignore", RuntimeWarning)
            peer = relax(env, chain, SETTINGS, neighbours_given=True)
        compared.append(Compared(name, env, path, peer))
    return compared


def trimmed(env):
    """The host without neutral atoms, which take no part and have no entry in the peer's tables."""
    kept = env.charges != 0.0
    return replace(env, coords_ang=env.coords_ang[kept], numbers=env.numbers[kept], charges=env.charges[kept])


def report(compared):
    """Write down how many agree, and each disagreement with its cause."""
    agreeing = [one.apart_ev for one in compared if one.agrees]
    lines = [f"{len(compared)} hops, {len(agreeing)} agree, within {max(agreeing, default=0.0):.5f} eV"]
    lines += [f"  differs: {one}" for one in compared if not one.agrees]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


def check(compared):
    report(compared)
    unexplained = [str(one) for one in compared if not one.agrees and one.cause is None]
    assert unexplained == []
    assert sum(one.agrees for one in compared) >= 0.9 * len(compared)


def test_some_hops_of_the_reference_set():
    check(compare(of_the_reference_set(4)))


@pytest.mark.data
def test_some_hops_of_devi2025(devi2025_dir):
    check(compare(of_devi2025(devi2025_dir, 2)))


@pytest.mark.slow
@pytest.mark.data
def test_sixty_hops(devi2025_dir):
    check(compare([*of_devi2025(devi2025_dir, HALF), *of_the_reference_set(HALF)]))


def test_the_peers_own_forces_stop_beside_the_saddle():
    """What a user of the peer gets as it stands: a top that is no stationary point of its own energy."""
    env = hop_of(olivine())
    ours = relax_paths([env], SETTINGS)[0]
    peer = relax(env, starting_chains([env], SETTINGS)[0], SETTINGS, neighbours_given=True)
    top = peer.positions_ang[int(np.argmax(peer.energies_ev))]
    assert peer.converged
    assert slope_of(env, top) > 10 * SETTINGS.tolerance_ev_ang
    assert slope_of(env, ours.saddle_ang) < 2 * SETTINGS.tolerance_ev_ang
