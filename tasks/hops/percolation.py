"""Minimax percolation on the hop graph: over what barrier, in how many dimensions, and how surely."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.errors import HopsError
from tasks.hops.periodic import MAX_RANK, PeriodicGraph, prune

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from tasks.hops.periodic import Edge, Vector

STAGE_VERSION = 1
"""Raised whenever the same barriers give other results: it is part of the keys that results stand under."""

DEFAULT_DIM_WINDOW_EV = 0.30
"""How much higher than the 1-D barrier a barrier may be for its dimension still to count."""

WINDOW_ROUNDING_EV = 1e-9
"""Rounding that a barrier exactly at the window's edge is forgiven: 0.9 - 0.6 is more than 0.3 in floats."""

DEFAULT_DRAWS = 200
"""Joint draws behind an interval."""

INTERVAL_PERCENT = (5.0, 95.0)
"""Percentiles of the draws that bound an interval."""


@dataclass(frozen=True)
class PercolationLevel:
    """The least level at which the graph connects in some number of dimensions.

    Parameters
    ----------
    barrier_ev : float
        That level: the highest barrier on the way, in eV.
    limiting : int
        Index of the rate-limiting hop.
    directions : tuple of tuple of int
        Short basis of the lattice vectors, in the stored cell, along which the component that runs in most
        dimensions repeats at this level. They may be more than the dimensions asked for, when one hop opens
        several.
    """

    barrier_ev: float
    limiting: int
    directions: tuple[Vector, ...]


@dataclass(frozen=True)
class PercolationResult:
    """Percolation of one material at given barriers.

    Parameters
    ----------
    levels : mapping of int to PercolationLevel
        Keys 1, 2, 3 as far as they are reached.
    percolation_dim : int
        Largest dimension whose barrier is within the window of the 1-D one; 0 where nothing percolates.
    """

    levels: Mapping[int, PercolationLevel]
    percolation_dim: int

    @property
    def barrier_at_dim_ev(self) -> float | None:
        """Barrier at `percolation_dim` in eV; None where nothing percolates."""
        level = self.levels.get(self.percolation_dim)
        return None if level is None else level.barrier_ev


@dataclass(frozen=True)
class PercolationIntervals:
    """Intervals of the percolation barriers by joint draws.

    Parameters
    ----------
    levels_ev : mapping of int to tuple of float
        5th and 95th percentile of each dimension's barrier in eV, widened to hold the point estimate.
    at_dim_ev : tuple of float or None
        The interval at the point estimate's `percolation_dim`.
    bottlenecks : mapping of int to mapping of int to float
        For each dimension, the share of draws in which each hop is the rate-limiting one.
    dims : mapping of int to float
        Share of draws with each `percolation_dim`.
    draws : int
        Number of draws.
    """

    levels_ev: Mapping[int, tuple[float, float]]
    at_dim_ev: tuple[float, float] | None
    bottlenecks: Mapping[int, Mapping[int, float]]
    dims: Mapping[int, float]
    draws: int = field(default=DEFAULT_DRAWS)


def percolate(
    orbits: Sequence[Sequence[Edge]],
    barriers_ev: Sequence[float | None] | NDArray[np.float64],
    *,
    dim_window_ev: float = DEFAULT_DIM_WINDOW_EV,
) -> PercolationResult:
    """Find the minimax barriers for percolation in one, two and three dimensions.

    Site energies count as 0, so a level is the highest barrier on the way. A component of the graph counts
    whole: dimensions of different components do not add up.

    Parameters
    ----------
    orbits : sequence of sequence of tuple of int
        For each hop all its equivalents (i, j, ox, oy, oz); empty for a hop that carries none.
    barriers_ev : sequence of float or None
        One a hop, in eV. A hop whose barrier is None or NaN carries none.
    dim_window_ev : float
        See `PercolationResult`.

    Returns
    -------
    PercolationResult
        Levels, rate-limiting hops, directions and the dimension.

    Raises
    ------
    HopsError
        If the numbers of orbits and barriers differ.
    """
    barriers = _checked(orbits, barriers_ev)
    order = [
        k for k in np.argsort(barriers, kind="stable").tolist() if not math.isnan(barriers[k]) and orbits[k]
    ]
    graph = PeriodicGraph(_sites(orbits))
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
            levels[dim] = PercolationLevel(barrier_ev, k, graph.directions())
        if graph.dimension == MAX_RANK:
            break
    found = {dim: level.barrier_ev for dim, level in levels.items()}
    return PercolationResult(levels=levels, percolation_dim=_dimension(found, dim_window_ev))


def percolate_draws(
    orbits: Sequence[Sequence[Edge]],
    barriers_ev: Sequence[float | None] | NDArray[np.float64],
    member_barriers_ev: ArrayLike,
    *,
    sigma_hop: ArrayLike,
    sigma_material: float,
    seed: int,
    n_draws: int = DEFAULT_DRAWS,
    dim_window_ev: float = DEFAULT_DIM_WINDOW_EV,
) -> PercolationIntervals:
    """Draw barriers jointly and find the minimax anew in each draw.

    A draw takes one ensemble member for all hops, adds to each log-barrier a residual of its own and to all
    of them one residual that they share, since what a model misjudges in a material it misjudges in all its
    hops.

    Parameters
    ----------
    orbits : sequence of sequence of tuple of int
        As in `percolate`.
    barriers_ev : sequence of float or None
        Point estimates, one a hop, in eV.
    member_barriers_ev : array_like of shape (hops, members)
        What each ensemble member predicts, in eV; rows of hops that carry none are not looked at.
    sigma_hop : float or array_like of shape (hops,)
        Standard deviation of each hop's own residual of log-barrier.
    sigma_material : float
        Standard deviation of the shared residual of log-barrier.
    seed : int
        Seed of the draws.
    n_draws : int
        Number of draws, at least 1.
    dim_window_ev : float
        As in `percolate`.

    Returns
    -------
    PercolationIntervals
        Intervals, bottlenecks and the spread of the dimension.

    Raises
    ------
    HopsError
        If shapes do not fit, a barrier that counts is not positive, or there are no draws.
    """
    barriers = _checked(orbits, barriers_ev)
    usable = [k for k in range(len(orbits)) if orbits[k] and not math.isnan(barriers[k])]
    drawn = np.full((n_draws, len(orbits)), np.nan) if n_draws > 0 else np.empty((0, 0))
    members = np.asarray(member_barriers_ev, dtype=np.float64)
    spread = np.broadcast_to(np.asarray(sigma_hop, dtype=np.float64), (len(orbits),))
    _check_draws(members, usable, len(orbits), n_draws)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(members.shape[1], size=n_draws)
    own = rng.standard_normal((n_draws, len(orbits))) * spread
    shared = rng.standard_normal((n_draws, 1)) * sigma_material
    drawn[:, usable] = np.exp(np.log(members[usable][:, chosen].T) + own[:, usable] + shared)
    point = percolate(orbits, barriers, dim_window_ev=dim_window_ev)
    return _summarise(point, _minimax_of_draws(orbits, drawn, usable), drawn, dim_window_ev)


def _minimax_of_draws(
    orbits: Sequence[Sequence[Edge]], drawn: NDArray[np.float64], usable: list[int]
) -> list[tuple[int, ...]]:
    """Return, for each draw, the rate-limiting hop of each dimension that is reached, in order."""
    sites = _sites(orbits)
    # Hops of one orbit always come together, so edges that repeat each other within it can go.
    short = {k: prune(sites, orbits[k]) for k in usable}
    whole = PeriodicGraph(sites)
    for k in usable:
        for edge in short[k]:
            whole.add(edge)
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    limiting = []
    for order in np.argsort(drawn[:, usable], axis=1).tolist():
        ranking = tuple(usable[k] for k in order)
        # The minimax depends on the order of the barriers alone, and draws repeat orders.
        if ranking not in known:
            known[ranking] = _limiting(sites, short, ranking, whole.dimension)
        limiting.append(known[ranking])
    return limiting


def _limiting(
    sites: Sequence[int], edges: Mapping[int, tuple[Edge, ...]], ranking: tuple[int, ...], most: int
) -> tuple[int, ...]:
    """Add hops in the order given until all dimensions are reached; return those that opened each."""
    graph = PeriodicGraph(sites)
    opened: list[int] = []
    for k in ranking:
        if len(opened) == most:
            break
        for edge in edges[k]:
            graph.add(edge)
        opened.extend([k] * (graph.dimension - len(opened)))
    return tuple(opened)


def _summarise(
    point: PercolationResult,
    limiting: list[tuple[int, ...]],
    drawn: NDArray[np.float64],
    dim_window_ev: float,
) -> PercolationIntervals:
    """Turn the draws' rate-limiting hops into intervals and frequencies."""
    n_draws = len(drawn)
    levels_ev: dict[int, tuple[float, float]] = {}
    bottlenecks: dict[int, dict[int, float]] = {}
    for dim, level in sorted(point.levels.items()):
        hops = [opened[dim - 1] for opened in limiting]
        values = drawn[np.arange(n_draws), hops]
        low, high = np.percentile(values, INTERVAL_PERCENT)
        levels_ev[dim] = (min(float(low), level.barrier_ev), max(float(high), level.barrier_ev))
        bottlenecks[dim] = {hop: count / n_draws for hop, count in Counter(hops).most_common()}
    dims = Counter(
        _dimension({d + 1: float(drawn[n, hop]) for d, hop in enumerate(opened)}, dim_window_ev)
        for n, opened in enumerate(limiting)
    )
    return PercolationIntervals(
        levels_ev=levels_ev,
        at_dim_ev=levels_ev.get(point.percolation_dim),
        bottlenecks=bottlenecks,
        dims={dim: count / n_draws for dim, count in sorted(dims.items())},
        draws=n_draws,
    )


def _dimension(barriers_ev: Mapping[int, float], dim_window_ev: float) -> int:
    """Return the largest dimension whose barrier is within the window of the 1-D one."""
    if 1 not in barriers_ev:
        return 0
    highest = barriers_ev[1] + dim_window_ev + WINDOW_ROUNDING_EV
    return max(dim for dim, barrier in barriers_ev.items() if barrier <= highest)


def _sites(orbits: Sequence[Sequence[Edge]]) -> list[int]:
    """Return every site that an edge touches."""
    return sorted({site for edges in orbits for edge in edges for site in edge[:2]})


def _checked(
    orbits: Sequence[Sequence[Edge]], barriers_ev: Sequence[float | None] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the barriers as an array, unknown ones as NaN."""
    if len(orbits) != len(barriers_ev):
        raise HopsError(f"{len(orbits)} orbits but {len(barriers_ev)} barriers: give one barrier a hop.")
    return np.array([math.nan if b is None else float(b) for b in barriers_ev], dtype=np.float64)


def _check_draws(members: NDArray[np.float64], usable: list[int], n_hops: int, n_draws: int) -> None:
    """Refuse draws that have no meaning."""
    if n_draws < 1:
        raise HopsError(f"{n_draws} draws were asked for: an interval needs at least 1; 200 is usual.")
    if members.ndim != 2 or len(members) != n_hops or members.shape[1] < 1:  # noqa: PLR2004
        raise HopsError(
            f"Member barriers have shape {members.shape}: give (hops, members) = ({n_hops}, >= 1)."
        )
    counted = members[usable]
    if not (np.isfinite(counted) & (counted > 0.0)).all():
        worst = float(np.nanmin(counted))
        raise HopsError(f"Member barriers must be positive numbers, the least is {worst} eV: drop that hop.")
