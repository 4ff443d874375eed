"""Hops on their way: the chains of images of each, and how a path with a deep minimum on its way is split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from tasks.hops.curve import Curve, find_extrema
from tasks.hops.neb import relax_chains, relax_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.field import Field, Host
    from tasks.hops.neb import NebSettings, Relaxed

SPLIT_EV = 0.05
"""A minimum deeper than this below the lower of its two saddles splits a hop."""

SAME_PLACE_ANG = 0.3
"""Minima nearer than this to each other or to an end are one place."""

STRAY_ANG = 4.0
"""An image further than this from the straight line has run away.

Hosts are cut off 9 Å from that line, and the ion feels what lies within some 5 Å: further out it would run
into the hole where the host ends, which no crystal has. Of the converged paths of devi2025 none with a
barrier below 7 eV goes further than 3.2 Å from its line.
"""

N_DENSE = 81
"""Points at which the energy along a relaxed path is looked at for extrema."""


@dataclass(frozen=True)
class Chain:
    """Relaxed images between two ends, or between an end and a minimum on the way.

    Parameters
    ----------
    images : ndarray of shape (P, 3)
        In Å, from the origin of the hop.
    energies : ndarray of shape (P,)
        In eV.
    residual : float
        Largest force left, in eV/Å.
    """

    images: NDArray[np.float64]
    energies: NDArray[np.float64]
    residual: float


@dataclass
class Work:
    """One hop on its way.

    Parameters
    ----------
    host : Host
        What surrounds it, from an origin in the middle of the hop.
    origin : ndarray of shape (3,)
        That origin in the frame of the environment, in Å.
    sites : ndarray of shape (2, 3)
        The crystal sites at its ends, from that origin, in Å.
    other_sites : ndarray of shape (n, 3)
        The other working ions, likewise.
    steps : int
        Steps of the longest relaxation so far.
    end_residual : float
        Largest force left on an end or an intermediate minimum, in eV/Å.
    end_shift : float
        Furthest that an end moved, in Å.
    collapsed : bool
        Whether an end left its site.
    chains : list of Chain
        The whole path, or its parts in order.
    """

    host: Host
    origin: NDArray[np.float64]
    sites: NDArray[np.float64]
    other_sites: NDArray[np.float64]
    steps: int = 0
    end_residual: float = 0.0
    end_shift: float = 0.0
    collapsed: bool = False
    chains: list[Chain] = field(default_factory=list)

    @property
    def images(self) -> NDArray[np.float64]:
        """The images of all chains in order, each once."""
        return np.vstack([self.chains[0].images, *(chain.images[1:] for chain in self.chains[1:])])

    @property
    def energies(self) -> NDArray[np.float64]:
        """Their energies."""
        return np.concatenate([self.chains[0].energies, *(chain.energies[1:] for chain in self.chains[1:])])

    @property
    def strayed(self) -> bool:
        """Whether an image has run away from the straight line."""
        return bool(distance_to_line(self.images, *self.sites).max() > STRAY_ANG)


def distance_to_line(
    points_ang: NDArray[np.float64], start_ang: NDArray[np.float64], end_ang: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each point's distance from the straight segment between two others.

    Parameters
    ----------
    points_ang : ndarray of shape (n, 3)
        The points in Å.
    start_ang, end_ang : ndarray of shape (3,)
        The ends of the segment in Å.

    Returns
    -------
    ndarray of shape (n,)
        Distances in Å.
    """
    along = end_ang - start_ang
    share = np.clip((points_ang - start_ang) @ along / (along @ along), 0.0, 1.0)
    distances: NDArray[np.float64] = np.linalg.norm(points_ang - start_ang - share[:, None] * along, axis=1)
    return distances


def add_chain(work: Work, relaxed: Relaxed, row: int) -> None:
    """Keep one relaxed chain of a hop.

    Parameters
    ----------
    work : Work
        The hop.
    relaxed : Relaxed
        What became of a batch.
    row : int
        Which of it is the hop's.
    """
    images, energies = relaxed.positions[row].cpu().numpy(), relaxed.energies[row].cpu().numpy()
    work.chains.append(Chain(images, energies, float(relaxed.residual[row])))
    work.steps = max(work.steps, int(relaxed.steps[row]))


def split(hosts: Field, works: list[Work], settings: NebSettings, device: torch.device) -> None:
    """Give each part of a path between deep minima a climbing image of its own.

    Parameters
    ----------
    hosts : Field
        The hosts of all hops.
    works : list of Work
        The hops, each with one relaxed chain; those with minima get one a part in its place.
    settings : NebSettings
        How the parts are relaxed.
    device : torch.device
        Where.
    """
    dense = np.linspace(0.0, 1.0, N_DENSE)
    curves = [Curve(work.chains[0].images) for work in works]
    sampled = torch.from_numpy(np.array([curve.at(dense) for curve in curves])).to(device)
    energies = hosts.energy_and_force(sampled)[0].cpu().numpy()
    cuts = [
        (k, extremum.fraction)
        for k, work in enumerate(works)
        if not work.strayed
        for extremum in find_extrema(dense, energies[k], least_ev=SPLIT_EV)
        if extremum.kind == "minimum"
    ]
    if not cuts:
        return
    start = np.array([curves[k].at(np.array([fraction])) for k, fraction in cuts])
    rows = torch.tensor([k for k, _ in cuts], device=device)
    lowest = relax_points(hosts.take(rows), torch.from_numpy(start).to(device), settings)
    minima = lowest.positions[:, 0].cpu().numpy()
    parts: list[tuple[int, NDArray[np.float64]]] = []
    for k in sorted({k for k, _ in cuts}):
        ends = works[k].chains[0].images[[0, -1]]
        mine = _apart([n for n, (owner, _) in enumerate(cuts) if owner == k], minima, ends)
        if not mine:
            continue
        works[k].end_residual = max(works[k].end_residual, float(lowest.residual[mine].max()))
        works[k].steps = max(works[k].steps, int(lowest.steps[mine].max()))
        knots = np.array([ends[0], *minima[mine], ends[1]])
        marks = [0.0, *(cuts[n][1] for n in mine), 1.0]
        for n in range(len(knots) - 1):
            points = curves[k].at(np.linspace(marks[n], marks[n + 1], settings.n_images))
            parts.append((k, _pull(points, knots[n], knots[n + 1])))
    _relax_parts(hosts, works, parts, settings, device)


def _apart(mine: list[int], minima: NDArray[np.float64], ends: NDArray[np.float64]) -> list[int]:
    """Return the minima that are places of their own: those that slid into another, or an end, were none."""
    kept: list[int] = []
    for n in mine:
        others = np.vstack([ends, minima[kept]])
        if np.linalg.norm(others - minima[n], axis=1).min() >= SAME_PLACE_ANG:
            kept.append(n)
    return kept


def _pull(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a piece of a path shifted so that it runs from one point to another."""
    share = np.linspace(0.0, 1.0, len(points))[:, None]
    moved: NDArray[np.float64] = points + (1.0 - share) * (start - points[0]) + share * (end - points[-1])
    return moved


def _relax_parts(
    hosts: Field,
    works: list[Work],
    parts: list[tuple[int, NDArray[np.float64]]],
    settings: NebSettings,
    device: torch.device,
) -> None:
    """Relax the parts of split paths in place of the whole."""
    if not parts:
        return
    owners = torch.tensor([k for k, _ in parts], device=device)
    start = torch.from_numpy(np.array([points for _, points in parts])).to(device)
    relaxed = relax_chains(hosts.take(owners), start, settings)
    for k in sorted({k for k, _ in parts}):
        works[k].chains = []
    for row, (k, _) in enumerate(parts):
        add_chain(works[k], relaxed, row)
