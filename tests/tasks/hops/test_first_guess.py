"""First guesses: bent off ridges to the soft side, round atoms, the same for a hop and its reverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.hops.bvse import pair_parameters
from tasks.hops.field import Field, Host
from tasks.hops.first_guess import BEND_ANG, first_guess
from tests.tasks.hops.rigid_hosts import IRON, OXYGEN, Landscape, hop_of, made_up

ENDS = torch.tensor([[[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]], dtype=torch.float64)


def valley(x):
    """A ridge along y = 0, softest along y, and lower on the side of positive y."""
    return -0.1 * x[..., 1] - x[..., 1] ** 2 + 3.0 * x[..., 2] ** 2


def test_lines_are_bent_along_the_softest_direction_to_the_lower_side():
    guess = first_guess(Landscape(valley), ENDS, 11)[0]
    middle = guess[5].tolist()
    assert middle == pytest.approx([0.0, BEND_ANG, 0.0], abs=1e-6)
    assert torch.allclose(guess[[0, -1]], ENDS[0], atol=1e-12, rtol=0)


def test_the_bend_does_not_depend_on_the_direction_or_the_frame(structures):
    env = hop_of(structures["LiFePO4"])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    host = Host(env.coords_ang, pair_parameters("Li", env.numbers, env.charges))
    turned = Host(env.coords_ang @ turn, host.parameters)
    ends = env.path_ang[[0, -1]]
    cpu = torch.device("cpu")
    guess = first_guess(Field([host], cpu), torch.from_numpy(ends[None].copy()), 11)[0].numpy()
    back = first_guess(Field([host], cpu), torch.from_numpy(ends[None, ::-1].copy()), 11)[0].numpy()
    other = first_guess(Field([turned], cpu), torch.from_numpy(ends[None] @ turn), 11)[0].numpy()
    energies = [
        Field([h], cpu).energy_and_force(torch.from_numpy(g[None].copy()))[0][0].numpy()
        for h, g in ((host, guess), (host, back[::-1]), (turned, other))
    ]
    # Bends that mirror each other are one by symmetry, so that energies are what must agree.
    assert energies[1] == pytest.approx(energies[0], abs=1e-6)
    assert energies[2] == pytest.approx(energies[0], abs=1e-6)


def test_a_line_through_an_atom_goes_round_it():
    atoms = {(0.0, 0.0, 0.0): (IRON, 3.0), (0.0, 3.0, 0.3): (OXYGEN, -2.0), (0.0, -3.3, 0.0): (OXYGEN, -2.0)}
    env = made_up(atoms, (-2.0, 0, 0), (2.0, 0, 0))
    field = Field(
        [Host(env.coords_ang, pair_parameters("Li", env.numbers, env.charges))], torch.device("cpu")
    )
    guess = first_guess(field, torch.from_numpy(env.path_ang[None, [0, -1]]), 11)
    assert guess[0].norm(dim=1).min() > 1.0
    straight = torch.from_numpy(env.path_ang[None].copy())
    assert field.energy_and_force(guess)[0].max() < 0.1 * field.energy_and_force(straight)[0].max()
