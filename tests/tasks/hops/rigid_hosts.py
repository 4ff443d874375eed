"""Hops in small hosts: cut out of crystals, or made up so that the answer is known."""

from __future__ import annotations

import numpy as np
import torch

from tasks.hops.network import hop_network
from tasks.hops.path import HopEnvironment, hop_environment, straight_path
from tasks.hops.sites import assign_charges

OXYGEN, IRON, LITHIUM = 8, 26, 3
REACH_ANG = 9.0


def hop_of(structure, which=0, radius_ang=REACH_ANG):
    """A hop of a crystal, the shortest unless told otherwise, cut as relaxed paths need it."""
    hop = hop_network(structure, "Li").hops[which]
    charges = assign_charges(structure)
    return hop_environment(
        structure, charges, hop.i, hop.j, hop.image, working_ion="Li", radius_ang=radius_ang
    )


def made_up(atoms, start, end, *, ion="Li", charges=None):
    """A hop between two points among given atoms: {(x, y, z): (atomic number, charge)}."""
    coords = np.array(list(atoms), dtype=float).reshape(-1, 3)
    kinds = list(atoms.values())
    return HopEnvironment(
        working_ion=ion,
        path_ang=straight_path(np.array(start, dtype=float), np.array(end, dtype=float), 21),
        coords_ang=coords,
        numbers=np.array([z for z, _ in kinds], dtype=np.int64),
        charges=np.array([q for _, q in kinds], dtype=float),
        radius_ang=REACH_ANG,
        composition={ion: 2.0},
        volume_ang3=100.0,
        n_sites=len(coords),
        host_working_ion_fraction=1.0,
        working_ion_charge=1.0,
    )


def octahedron(centre, side=2.0, skip=()):
    """Six oxygens round a point, but for those in some directions."""
    corners = [np.array(v) for v in np.vstack([np.eye(3), -np.eye(3)]).tolist()]
    return {
        tuple((np.array(centre, dtype=float) + side * v).tolist()): (OXYGEN, -2.0)
        for v in corners
        if not any(np.array_equal(v, s) for s in skip)
    }


class Landscape:
    """An energy that is a formula, in the place of a field: one and the same for every hop."""

    def __init__(self, energy):
        self._energy = energy
        self.calls = 0

    def take(self, _rows):
        return self

    def energy_and_force(self, positions):
        self.calls += 1
        with torch.enable_grad():
            x = positions.detach().clone().requires_grad_(True)
            energy = self._energy(x)
            (gradient,) = torch.autograd.grad(energy.sum(), x)
        return energy.detach(), -gradient
