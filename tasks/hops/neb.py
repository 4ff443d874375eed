"""Climbing-image NEB of single ions in rigid hosts, all hops of a batch at once, in torch.

Each hop is a chain of images of its one moving ion. Between fixed ends the images feel the true force across
the path and springs along it; images at the top climb. The optimiser is FIRE with a time step, mixing and
power count of each hop's own, so that a hop ends as it would alone.

References
----------
Henkelman and Jonsson, J. Chem. Phys. 113, 9978 (2000), doi:10.1063/1.1323224 (improved tangent); Henkelman,
Uberuaga and Jonsson, J. Chem. Phys. 113, 9901 (2000), doi:10.1063/1.1329672 (climbing image); Bitzek et al.,
Phys. Rev. Lett. 97, 170201 (2006), doi:10.1103/PhysRevLett.97.170201 (FIRE).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.hops.field import Field

STEP_START = 0.10
"""First time step of FIRE, for a unit mass."""

GROW, SHRINK, MIXING, MIXING_FADE, PATIENCE = 1.1, 0.5, 0.1, 0.99, 5
"""FIRE's own constants, as published."""

TIE_EV = 1e-3
"""Local tops within this of the highest climb too, so that equal saddles are all found."""

STRONGEST_FORCE_EV_ANG = 10.0
"""Forces enter steps up to this size, so that an image inside an atom does not drown its neighbours."""

CAREFUL_EXTRA_IMAGES = 4
"""Images added on the second try: a long, bent path has no tangent that eleven images could follow."""

SHORTEST = 1e-12
"""Keeps directions of nothing from being divided by zero."""


@dataclass(frozen=True)
class NebSettings:
    """How a path is relaxed.

    Parameters
    ----------
    n_images : int
        Images of a path, ends included.
    spring_ev_ang2 : float
        Stiffness of the springs.
    tolerance_ev_ang : float
        Largest force left on any image of a converged path.
    climb_below_ev_ang : float
        Images start to climb once the largest force is below this, or at `climb_from_step`.
    climb_from_step : int
        See there.
    max_steps : int
        Steps after which a path counts as not converged.
    longest_step : float
        Longest time step of FIRE for a unit mass: beyond 2/sqrt(k) a spring of k eV/Å² would run away.
    longest_move_ang : float
        No image moves further in one step, whatever the force: paths may start inside an atom.
    """

    n_images: int = 11
    spring_ev_ang2: float = 2.0
    tolerance_ev_ang: float = 0.01
    climb_below_ev_ang: float = 0.3
    climb_from_step: int = 100
    max_steps: int = 600
    longest_step: float = 0.45
    longest_move_ang: float = 0.1

    def careful(self) -> NebSettings:
        """Return settings for paths that did not converge: more images, shorter steps and a late climb."""
        return replace(
            self,
            n_images=self.n_images + CAREFUL_EXTRA_IMAGES,
            climb_below_ev_ang=self.climb_below_ev_ang / 3.0,
            climb_from_step=5 * self.climb_from_step,
            max_steps=5 * self.climb_from_step + self.max_steps,
            longest_step=self.longest_step * 2.0 / 3.0,
            longest_move_ang=self.longest_move_ang / 2.0,
        )


@dataclass(frozen=True)
class Relaxed:
    """What became of a batch of chains.

    Parameters
    ----------
    positions : Tensor of shape (B, P, 3)
        Images in Å.
    residual : Tensor of shape (B,)
        Largest force left on an image, in eV/Å.
    steps : Tensor of shape (B,), int64
        Steps taken.
    energies : Tensor of shape (B, P)
        Energies of the images in eV.
    """

    positions: Tensor
    residual: Tensor
    steps: Tensor
    energies: Tensor


def relax_points(field: Field, start: Tensor, settings: NebSettings) -> Relaxed:
    """Let ions slide downhill, each by itself.

    Parameters
    ----------
    field : Field
        The hosts.
    start : Tensor of shape (B, 1, 3)
        Where they are.
    settings : NebSettings
        Tolerance and steps.

    Returns
    -------
    Relaxed
        Where they end.
    """
    return _fire(_Points(field), start, settings)


def relax_chains(field: Field, start: Tensor, settings: NebSettings) -> Relaxed:
    """Relax chains of images between their fixed ends.

    Parameters
    ----------
    field : Field
        The hosts.
    start : Tensor of shape (B, P, 3)
        First guesses of the paths.
    settings : NebSettings
        Springs, tolerance and steps.

    Returns
    -------
    Relaxed
        The paths, ends included.
    """
    ends = start[:, [0, -1]]
    chains = _Chains(field, ends, field.energy_and_force(ends)[0], settings.spring_ev_ang2)
    relaxed = _fire(chains, start[:, 1:-1], settings)
    whole = torch.cat([ends[:, :1], relaxed.positions, ends[:, 1:]], dim=1)
    energies = torch.cat([chains.end_energies[:, :1], relaxed.energies, chains.end_energies[:, 1:]], dim=1)
    return Relaxed(whole, relaxed.residual, relaxed.steps, energies)


@dataclass(frozen=True)
class _Points:
    """Ions that feel nothing but their host."""

    field: Field

    def energy_and_force(self, positions: Tensor, _climb: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energies of all ions and the forces on them."""
        return self.field.energy_and_force(positions)

    def take(self, rows: Tensor) -> _Points:
        """Return some of them."""
        return _Points(self.field.take(rows))


@dataclass(frozen=True)
class _Chains:
    """Images between fixed ends."""

    field: Field
    ends: Tensor
    end_energies: Tensor
    spring: float

    def energy_and_force(self, positions: Tensor, climb: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energies of the inner images and the NEB forces on them."""
        energy, force = self.field.energy_and_force(positions)
        chain = torch.cat([self.ends[:, :1], positions, self.ends[:, 1:]], dim=1)
        energies = torch.cat([self.end_energies[:, :1], energy, self.end_energies[:, 1:]], dim=1)
        return energy, neb_force(chain, energies, force, climb, self.spring)

    def take(self, rows: Tensor) -> _Chains:
        """Return some of them."""
        return _Chains(self.field.take(rows), self.ends[rows], self.end_energies[rows], self.spring)


def neb_force(chain: Tensor, energies: Tensor, force: Tensor, climb: Tensor, spring: float) -> Tensor:
    """Return the forces that move the inner images of chains.

    Parameters
    ----------
    chain : Tensor of shape (B, P, 3)
        All images in Å.
    energies : Tensor of shape (B, P)
        Theirs in eV.
    force : Tensor of shape (B, P - 2, 3)
        True forces on the inner images in eV/Å.
    climb : Tensor of shape (B,), bool
        Chains whose tops climb.
    spring : float
        Stiffness in eV/Å².

    Returns
    -------
    Tensor of shape (B, P - 2, 3)
        True force across the path and spring force along it; for a climbing image the true force with its
        part along the path reversed.
    """
    step = chain[:, 1:] - chain[:, :-1]
    before, after = step[:, :-1], step[:, 1:]
    tangent = _tangent(before, after, energies)
    along = (force * tangent).sum(dim=2, keepdim=True)
    stretch = spring * (after.norm(dim=2, keepdim=True) - before.norm(dim=2, keepdim=True))
    climbing = _tops(energies) & climb[:, None]
    return force + torch.where(climbing[:, :, None], -2.0 * along, stretch - along) * tangent


def _tangent(before: Tensor, after: Tensor, energies: Tensor) -> Tensor:
    """Return unit tangents that point to the higher neighbour, mixed at extrema."""
    last, here, following = energies[:, :-2], energies[:, 1:-1], energies[:, 2:]
    rise, drop = (following - here).abs() + SHORTEST, (last - here).abs() + SHORTEST
    more, less = torch.maximum(rise, drop), torch.minimum(rise, drop)
    up = (following > here) & (here > last)
    down = (following < here) & (here < last)
    towards = following > last
    zero, one = torch.zeros_like(rise), torch.ones_like(rise)
    weight_after = torch.where(up, one, torch.where(down, zero, torch.where(towards, more, less)))
    weight_before = torch.where(down, one, torch.where(up, zero, torch.where(towards, less, more)))
    mixed = weight_after[:, :, None] * after + weight_before[:, :, None] * before
    unit: Tensor = mixed / mixed.norm(dim=2, keepdim=True).clamp(min=SHORTEST)
    return unit


def _tops(energies: Tensor) -> Tensor:
    """Say which inner images are local tops about as high as the highest of them."""
    here = energies[:, 1:-1]
    top = (here >= energies[:, :-2]) & (here >= energies[:, 2:])
    highest = torch.where(top, here, torch.full_like(here, -torch.inf)).amax(dim=1, keepdim=True)
    return top & (here > highest - TIE_EV)


def _fire(problem: _Points | _Chains, start: Tensor, settings: NebSettings) -> Relaxed:
    """Minimise every row of a problem by FIRE; rows that are done leave the batch."""
    done = Relaxed(
        start.clone(),
        torch.full(start.shape[:1], torch.inf, dtype=start.dtype, device=start.device),
        torch.zeros(start.shape[:1], dtype=torch.int64, device=start.device),
        torch.zeros_like(start[:, :, 0]),
    )
    rows = torch.arange(len(start), device=start.device)
    x, v = start.clone(), torch.zeros_like(start)
    step_size = torch.full((len(start), 1, 1), STEP_START, dtype=start.dtype, device=start.device)
    mixing = torch.full_like(step_size, MIXING)
    patience = torch.zeros_like(step_size)
    climb = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    for step in range(settings.max_steps + 1):
        energy, force = problem.energy_and_force(x, climb)
        largest = force.norm(dim=2).amax(dim=1)
        over = (climb & (largest <= settings.tolerance_ev_ang)) | (step == settings.max_steps)
        climb = climb | (largest <= settings.climb_below_ev_ang) | (step >= settings.climb_from_step)
        if over.any():
            ended = rows[over]
            done.positions[ended], done.energies[ended] = x[over], energy[over]
            done.residual[ended], done.steps[ended] = largest[over], step
            keep = torch.nonzero(~over)[:, 0]
            if len(keep) == 0:
                break
            problem, rows = problem.take(keep), rows[keep]
            x, v, force, climb = x[keep], v[keep], force[keep], climb[keep]
            step_size, mixing, patience = step_size[keep], mixing[keep], patience[keep]
        x, v, step_size, mixing, patience = _move(x, v, force, step_size, mixing, patience, settings)
    return done


def _move(
    x: Tensor,
    v: Tensor,
    force: Tensor,
    step_size: Tensor,
    mixing: Tensor,
    patience: Tensor,
    settings: NebSettings,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Take one step of FIRE, each row with its own step size."""
    strength = force.norm(dim=2, keepdim=True)
    force = force * (STRONGEST_FORCE_EV_ANG / strength.clamp(min=STRONGEST_FORCE_EV_ANG))
    downhill = (force * v).sum(dim=(1, 2), keepdim=True) > 0.0
    speed, total = (t.flatten(1).norm(dim=1)[:, None, None] for t in (v, force))
    mixed = (1.0 - mixing) * v + mixing * force * (speed / total.clamp(min=SHORTEST))
    v = torch.where(downhill, mixed, torch.zeros_like(v))
    patience = torch.where(downhill, patience + 1.0, torch.zeros_like(patience))
    ready = patience > PATIENCE
    grown = (step_size * GROW).clamp(max=settings.longest_step)
    step_size = torch.where(ready, grown, torch.where(downhill, step_size, step_size * SHRINK))
    faded = torch.where(ready, mixing * MIXING_FADE, mixing)
    mixing = torch.where(downhill, faded, torch.full_like(mixing, MIXING))
    v = v + step_size * force
    move = step_size * v
    length = move.norm(dim=2, keepdim=True)
    most = settings.longest_move_ang
    shorter = (most / length.clamp(min=most)) * torch.ones_like(length)
    return x + move * shorter, v * shorter, step_size, mixing, patience
