"""Minimax percolation on the hop graph: over what barrier, and in how many dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.hops.errors import HopsError
from tasks.hops.landscape import easiest, ground, grouped, hop_saddles_ev, known_energies_ev, openings
from tasks.hops.periodic import MAX_RANK, PeriodicGraph

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from tasks.hops.periodic import Edge, Vector

SiteEnergies = Literal["unknown", "known", "partial"]

STAGE_VERSION = 3
"""Raised whenever the same barriers give other results: it is part of the keys that results stand under."""

DEFAULT_DIM_WINDOW_EV = 0.30
"""How much higher than the 1-D barrier a barrier may be for its dimension still to count."""

WINDOW_ROUNDING_EV = 1e-9
"""Rounding that a barrier exactly at the window's edge is forgiven: 0.9 - 0.6 is more than 0.3 in floats."""


@dataclass(frozen=True)
class PercolationLevel:
    """The least level at which the graph connects in some number of dimensions.

    Parameters
    ----------
    barrier_ev : float
        That level: the highest saddle on the way above the lowest site of the component, in eV.
    limiting : int
        Index of the rate-limiting hop.
    directions : tuple of tuple of int
        Short basis of the lattice vectors, in the stored cell, along which the component that runs in most
        dimensions repeats at this level. They may be more than the dimensions asked for, when one hop opens
        several.
    sites : tuple of int
        Sites of that component, ascending.
    """

    barrier_ev: float
    limiting: int
    directions: tuple[Vector, ...]
    sites: tuple[int, ...] = ()


@dataclass(frozen=True)
class PercolationResult:
    """Percolation of one material at given barriers.

    Parameters
    ----------
    levels : mapping of int to PercolationLevel
        Keys 1, 2, 3 as far as they are reached.
    percolation_dim : int
        Largest dimension whose barrier is within the window of the 1-D one; 0 where nothing percolates.
    site_energies : {"unknown", "known", "partial"}
        Of how many sites of the graph the energy was given: none, all, some. Those of the others count as 0.
    site_energy_difference_ev : float or None
        Highest minus lowest site of the component that percolates at `percolation_dim`, in eV; None where
        nothing percolates or the energy of one of its sites is unknown.
    """

    levels: Mapping[int, PercolationLevel]
    percolation_dim: int
    site_energies: SiteEnergies = "unknown"
    site_energy_difference_ev: float | None = None

    @property
    def barrier_at_dim_ev(self) -> float | None:
        """Barrier at `percolation_dim` in eV; None where nothing percolates."""
        level = self.levels.get(self.percolation_dim)
        return None if level is None else level.barrier_ev


def percolate(
    orbits: Sequence[Sequence[Edge]],
    barriers_ev: Sequence[float | None] | NDArray[np.float64],
    *,
    site_energies_ev: Mapping[int, float | None] | None = None,
    occupied: Collection[int] | None = None,
    dim_window_ev: float = DEFAULT_DIM_WINDOW_EV,
) -> PercolationResult:
    """Find the minimax barriers for percolation in one, two and three dimensions.

    The saddle of a hop lies its barrier above the lower one of its two sites, and never below the higher. A
    component of the graph counts whole: dimensions of different components do not add up, and its lowest site
    is that of all sites that can be reached at that saddle. Without site energies a level is the highest
    barrier on the way.

    Parameters
    ----------
    orbits : sequence of sequence of tuple of int
        For each hop all its equivalents (i, j, ox, oy, oz); empty for a hop that carries none.
    barriers_ev : sequence of float or None
        One a hop, in eV. A hop whose barrier is None or NaN carries none.
    site_energies_ev : mapping of int to float or None, or None
        Energies of the sites, in eV, on any common scale; one that is missing or None counts as 0.
    occupied : collection of int or None
        Sites that ions are on, where some are empty: levels then count from the lowest occupied site of the
        component, and of the whole graph for a component of empty sites alone.
    dim_window_ev : float
        See `PercolationResult`.

    Returns
    -------
    PercolationResult
        Levels, rate-limiting hops, directions and the dimension.

    Raises
    ------
    HopsError
        If the numbers of orbits and barriers differ, or equivalent hops join sites of different energies.
    """
    barriers = barrier_array(orbits, barriers_ev)
    known_ev = known_energies_ev(site_energies_ev)
    sites = sites_of(orbits)
    status = _status(sites, known_ev)
    if status == "unknown":
        levels = _levels_on_flat_ground(orbits, barriers)
    else:
        energies_ev = {site: known_ev.get(site, 0.0) for site in sites}
        levels = _levels_on_landscape(orbits, barriers, energies_ev, occupied)
    dim = widest_dimension({d: level.barrier_ev for d, level in levels.items()}, dim_window_ev)
    reached = levels[dim].sites if dim in levels else ()
    found_ev = [known_ev[site] for site in reached if site in known_ev]
    return PercolationResult(
        levels=levels,
        percolation_dim=dim,
        site_energies=status,
        site_energy_difference_ev=max(found_ev) - min(found_ev)
        if found_ev and len(found_ev) == len(reached)
        else None,
    )


def _levels_on_flat_ground(
    orbits: Sequence[Sequence[Edge]], barriers: NDArray[np.float64]
) -> dict[int, PercolationLevel]:
    """Open hops in the order of their barriers until all dimensions are reached."""
    order = sorted(usable_hops(orbits, barriers), key=lambda k: (barriers[k], k))
    graph = PeriodicGraph(sites_of(orbits))
    levels: dict[int, PercolationLevel] = {}
    # Hops of equal barrier open together, so that the directions do not depend on their order.
    for barrier_ev, group in groupby(order, key=lambda k: float(barriers[k])):
        limiting: dict[int, int] = {}
        for k in group:
            before = graph.dimension
            for edge in orbits[k]:
                graph.add(edge)
            limiting |= dict.fromkeys(range(before + 1, graph.dimension + 1), k)
        for dim, k in limiting.items():
            root = graph.widest()
            reached = tuple(site for site in sites_of(orbits) if graph.component(site) == root)
            levels[dim] = PercolationLevel(barrier_ev, k, graph.directions(), reached)
        if graph.dimension == MAX_RANK:
            break
    return levels


def _levels_on_landscape(
    orbits: Sequence[Sequence[Edge]],
    barriers: NDArray[np.float64],
    energies_ev: Mapping[int, float],
    occupied: Collection[int] | None,
) -> dict[int, PercolationLevel]:
    """Open hops in the order of their saddles; the component with the least level counts."""
    site_energies = {site: np.array([energy]) for site, energy in energies_ev.items()}
    saddles = hop_saddles_ev(orbits, barriers[None], site_energies)[0]
    order = sorted(usable_hops(orbits, barriers), key=lambda k: (saddles[k], k))
    found = openings(sites_of(orbits), grouped(order, saddles), {k: orbits[k] for k in order})
    levels: dict[int, PercolationLevel] = {}
    for dim in sorted({opening.dim for opening in found}):
        of_dim = [opening for opening in found if opening.dim == dim]
        values = [
            float(saddles[opening.hop])
            - min(energies_ev[site] for site in ground(opening.members, list(energies_ev), occupied))
            for opening in of_dim
        ]
        best, level_ev = easiest(of_dim, values)
        levels[dim] = PercolationLevel(level_ev, best.hop, best.basis, best.members)
    return levels


def widest_dimension(barriers_ev: Mapping[int, float], dim_window_ev: float) -> int:
    """Return the largest dimension whose barrier is within the window of the 1-D one."""
    if 1 not in barriers_ev:
        return 0
    highest = barriers_ev[1] + dim_window_ev + WINDOW_ROUNDING_EV
    return max(dim for dim, barrier in barriers_ev.items() if barrier <= highest)


def _status(sites: Sequence[int], known_ev: Mapping[int, float]) -> SiteEnergies:
    """Say of how many sites the energy is known."""
    n_known = sum(site in known_ev for site in sites)
    if n_known == 0:
        return "unknown"
    return "known" if n_known == len(sites) else "partial"


def usable_hops(orbits: Sequence[Sequence[Edge]], barriers: NDArray[np.float64]) -> list[int]:
    """Return the hops that carry percolation, ascending."""
    return [k for k in range(len(orbits)) if orbits[k] and not math.isnan(barriers[k])]


def sites_of(orbits: Sequence[Sequence[Edge]]) -> list[int]:
    """Return every site that an edge touches."""
    return sorted({site for edges in orbits for edge in edges for site in edge[:2]})


def barrier_array(
    orbits: Sequence[Sequence[Edge]], barriers_ev: Sequence[float | None] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the barriers as an array, unknown ones as NaN."""
    if len(orbits) != len(barriers_ev):
        raise HopsError(f"{len(orbits)} orbits but {len(barriers_ev)} barriers: give one barrier a hop.")
    return np.array([math.nan if b is None else float(b) for b in barriers_ev], dtype=np.float64)
