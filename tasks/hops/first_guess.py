"""First guesses of paths: a straight line, bent a little to where the ion would slip if it could.

A straight line that lies in a mirror plane or on an axis feels no force out of it, though it may be a ridge
between two valleys; then rounding errors alone would decide when, and whether, a relaxation leaves it. So the
line is bent along its softest direction, which turns with the crystal, towards the side of lower energy. A
line that runs into an atom is bent further, round it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.hops.field import Field

BEND_ANG = 0.2
"""How far every line is bent in its middle: enough to leave a ridge, little enough to come back."""

WIDE_BENDS_ANG = (0.5, 1.0, 1.5)
"""Further bends for lines that run into an atom."""

RUNS_INTO_EV = 20.0
"""A straight line with a barrier above this runs into an atom; hops of the literature stay below 10 eV."""

PROBE_ANG = 1e-3
"""Displacement of the finite differences behind the softest direction."""

STIFF_EV_ANG2 = 1e9
"""Stiffness put on the direction along the line, so that it is never the softest."""


def first_guess(field: Field, ends: Tensor, n_images: int) -> Tensor:
    """Return chains of images to start from.

    Parameters
    ----------
    field : Field
        The hosts.
    ends : Tensor of shape (B, 2, 3)
        Ends of the paths in Å.
    n_images : int
        Images a path, ends included.

    Returns
    -------
    Tensor of shape (B, n_images, 3)
        The same for a hop and its reverse, reversed.
    """
    share = torch.linspace(0.0, 1.0, n_images, dtype=ends.dtype, device=ends.device)[None, :, None]
    line = (1.0 - share) * ends[:, :1] + share * ends[:, 1:]
    bump = torch.sin(math.pi * share)
    soft, softer = _transverse(field, line, bump)
    both = [line + bump * (sign * BEND_ANG) * soft[:, None, :] for sign in (1.0, -1.0)]
    total = [(field.energy_and_force(chain)[0] * bump[..., 0]).sum(dim=1) for chain in both]
    guess = torch.where((total[0] <= total[1])[:, None, None], both[0], both[1])
    energy = field.energy_and_force(line)[0]
    blocked = torch.nonzero(energy.amax(dim=1) - energy[:, [0, -1]].amin(dim=1) > RUNS_INTO_EV)[:, 0]
    if len(blocked) > 0:
        guess[blocked] = _round_atoms(
            field.take(blocked), line[blocked], bump, soft[blocked], softer[blocked]
        )
    return guess


def _transverse(field: Field, line: Tensor, bump: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softest direction across each line and the one across both, from mean curvatures."""
    columns = []
    for axis in range(3):
        probe = torch.zeros(3, dtype=line.dtype, device=line.device)
        probe[axis] = PROBE_ANG
        difference = field.energy_and_force(line - probe)[1] - field.energy_and_force(line + probe)[1]
        columns.append((difference * bump**2).sum(dim=1) / (2.0 * PROBE_ANG * (bump**2).sum()))
    curvature = torch.stack(columns, dim=2)
    along = line[:, -1] - line[:, 0]
    along = along / along.norm(dim=1, keepdim=True)
    outer = along[:, :, None] * along[:, None, :]
    across = torch.eye(3, dtype=line.dtype, device=line.device) - outer
    symmetric = across @ ((curvature + curvature.mT) / 2.0) @ across + STIFF_EV_ANG2 * outer
    vectors = torch.linalg.eigh(symmetric)[1]
    return vectors[:, :, 0], vectors[:, :, 1]


def _round_atoms(field: Field, line: Tensor, bump: Tensor, soft: Tensor, softer: Tensor) -> Tensor:
    """Return, of several wide bends, the one with the lowest top."""
    best, lowest = line, torch.full(line.shape[:1], torch.inf, dtype=line.dtype, device=line.device)
    for direction in (soft, -soft, softer, -softer):
        for bend_ang in WIDE_BENDS_ANG:
            chain = line + bump * bend_ang * direction[:, None, :]
            top = field.energy_and_force(chain)[0].amax(dim=1)
            # Only a clear gain counts: bends that mirror each other differ by rounding.
            better = top < lowest - 1e-6
            best = torch.where(better[:, None, None], chain, best)
            lowest = torch.where(better, top, lowest)
    return best
