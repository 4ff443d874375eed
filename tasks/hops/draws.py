"""How surely ions percolate: the minimax found anew in joint draws of barriers, and of site energies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.errors import HopsError
from tasks.hops.landscape import easiest, ground, grouped, hop_saddles_ev, known_energies_ev, openings
from tasks.hops.percolation import (
    DEFAULT_DIM_WINDOW_EV,
    barrier_array,
    percolate,
    sites_of,
    usable_hops,
    widest_dimension,
)
from tasks.hops.periodic import PeriodicGraph, prune

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from tasks.hops.landscape import Opening
    from tasks.hops.percolation import PercolationResult
    from tasks.hops.periodic import Edge

DEFAULT_DRAWS = 200
"""Joint draws behind an interval."""

INTERVAL_PERCENT = (5.0, 95.0)
"""Percentiles of the draws that bound an interval."""


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


def percolate_draws(
    orbits: Sequence[Sequence[Edge]],
    barriers_ev: Sequence[float | None] | NDArray[np.float64],
    member_barriers_ev: ArrayLike,
    *,
    sigma_hop: ArrayLike,
    sigma_material: ArrayLike,
    seed: int,
    n_draws: int = DEFAULT_DRAWS,
    dim_window_ev: float = DEFAULT_DIM_WINDOW_EV,
    site_energies_ev: Mapping[int, float | None] | None = None,
    drawn_site_energies_ev: Mapping[int, ArrayLike] | None = None,
    occupied: Collection[int] | None = None,
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
    sigma_material : float or array_like of shape (hops,)
        Standard deviation of the shared residual of log-barrier: one draw for all hops, each at its scale.
    seed : int
        Seed of the draws.
    n_draws : int
        Number of draws, at least 1.
    dim_window_ev : float
        As in `percolate`.
    site_energies_ev : mapping of int to float or None, or None
        As in `percolate`; the same in every draw.
    drawn_site_energies_ev : mapping of int to array_like of shape (draws,), or None
        Energies of sites in each draw, in eV, in the place of those.
    occupied : collection of int or None
        As in `percolate`.

    Returns
    -------
    PercolationIntervals
        Intervals, bottlenecks and the spread of the dimension.

    Raises
    ------
    HopsError
        If shapes do not fit, a barrier that counts is not positive, there are no draws, or equivalent hops
        join sites of different energies.
    """
    barriers = barrier_array(orbits, barriers_ev)
    usable = usable_hops(orbits, barriers)
    drawn = np.full((n_draws, len(orbits)), np.nan) if n_draws > 0 else np.empty((0, 0))
    members = np.asarray(member_barriers_ev, dtype=np.float64)
    spread = np.broadcast_to(np.asarray(sigma_hop, dtype=np.float64), (len(orbits),))
    _check_draws(members, usable, len(orbits), n_draws)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(members.shape[1], size=n_draws)
    own = rng.standard_normal((n_draws, len(orbits))) * spread
    together = np.broadcast_to(np.asarray(sigma_material, dtype=np.float64), (len(orbits),))
    shared = rng.standard_normal((n_draws, 1)) * together
    drawn[:, usable] = np.exp(np.log(members[usable][:, chosen].T) + own[:, usable] + shared[:, usable])
    point = percolate(
        orbits,
        barriers,
        site_energies_ev=site_energies_ev,
        occupied=occupied,
        dim_window_ev=dim_window_ev,
    )
    energies = _energies_of_draws(sites_of(orbits), site_energies_ev, drawn_site_energies_ev, n_draws)
    if energies is None:
        of_draws = _flat_draws(orbits, drawn, usable)
    else:
        of_draws = _landscape_draws(orbits, drawn, usable, energies, occupied)
    return _summarise(point, of_draws, dim_window_ev)


@dataclass(frozen=True)
class _OfDraw:
    """The rate-limiting hop of each dimension that is reached in one draw, in order, and its level."""

    limiting: tuple[int, ...]
    levels_ev: tuple[float, ...]


def _flat_draws(
    orbits: Sequence[Sequence[Edge]], drawn: NDArray[np.float64], usable: list[int]
) -> list[_OfDraw]:
    """Find the minimax of each draw where all sites lie equally high."""
    sites = sites_of(orbits)
    # Hops of one orbit always come together, so edges that repeat each other within it can go.
    short = {k: prune(sites, orbits[k]) for k in usable}
    whole = PeriodicGraph(sites)
    for k in usable:
        for edge in short[k]:
            whole.add(edge)
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    found = []
    for n, order in enumerate(np.argsort(drawn[:, usable], axis=1).tolist()):
        ranking = tuple(usable[k] for k in order)
        # The minimax depends on the order of the barriers alone, and draws repeat orders.
        if ranking not in known:
            known[ranking] = _limiting(sites, short, ranking, whole.dimension)
        limiting = known[ranking]
        found.append(_OfDraw(limiting, tuple(float(drawn[n, hop]) for hop in limiting)))
    return found


def _landscape_draws(
    orbits: Sequence[Sequence[Edge]],
    drawn: NDArray[np.float64],
    usable: list[int],
    energies: Mapping[int, NDArray[np.float64]],
    occupied: Collection[int] | None,
) -> list[_OfDraw]:
    """Find the minimax of each draw where sites differ in energy."""
    sites = sites_of(orbits)
    short = {k: prune(sites, orbits[k]) for k in usable}
    saddles = hop_saddles_ev(orbits, drawn, energies)
    place = {site: column for column, site in enumerate(sites)}
    heights = np.array([energies[site] for site in sites]).T
    known: dict[tuple[tuple[int, ...], ...], tuple[Opening, ...]] = {}
    found = []
    for n in range(len(drawn)):
        order = [usable[k] for k in np.argsort(saddles[n, usable], kind="stable").tolist()]
        ranking = tuple(tuple(group) for group in grouped(order, saddles[n]))
        # What opens depends on the order of the saddles alone; only the level depends on their heights.
        if ranking not in known:
            known[ranking] = openings(sites, ranking, short)
        best: list[tuple[int, float]] = []
        for dim in sorted({opening.dim for opening in known[ranking]}):
            of_dim = [opening for opening in known[ranking] if opening.dim == dim]
            values = [
                float(
                    saddles[n, opening.hop]
                    - min(heights[n, place[site]] for site in ground(opening.members, sites, occupied))
                )
                for opening in of_dim
            ]
            opening, level_ev = easiest(of_dim, values)
            best.append((opening.hop, level_ev))
        found.append(_OfDraw(tuple(hop for hop, _ in best), tuple(level for _, level in best)))
    return found


def _energies_of_draws(
    sites: Sequence[int],
    fixed_ev: Mapping[int, float | None] | None,
    drawn_ev: Mapping[int, ArrayLike] | None,
    n_draws: int,
) -> dict[int, NDArray[np.float64]] | None:
    """Return the energy of every site in each draw; None where none is known."""
    known = known_energies_ev(fixed_ev)
    drawn = {
        site: np.asarray(e, dtype=np.float64) for site, e in ({} if drawn_ev is None else drawn_ev).items()
    }
    for site, values in drawn.items():
        if values.shape != (n_draws,) or not np.isfinite(values).all():
            raise HopsError(
                f"Drawn energies of site {site} have shape {values.shape}: give {n_draws} numbers."
            )
    if not any(site in known or site in drawn for site in sites):
        return None
    return {site: drawn.get(site, np.full(n_draws, known.get(site, 0.0))) for site in sites}


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
    point: PercolationResult, of_draws: Sequence[_OfDraw], dim_window_ev: float
) -> PercolationIntervals:
    """Turn the draws' rate-limiting hops into intervals and frequencies."""
    n_draws = len(of_draws)
    levels_ev: dict[int, tuple[float, float]] = {}
    bottlenecks: dict[int, dict[int, float]] = {}
    for dim, level in sorted(point.levels.items()):
        hops = [one.limiting[dim - 1] for one in of_draws]
        low, high = np.percentile([one.levels_ev[dim - 1] for one in of_draws], INTERVAL_PERCENT)
        levels_ev[dim] = (min(float(low), level.barrier_ev), max(float(high), level.barrier_ev))
        bottlenecks[dim] = {hop: count / n_draws for hop, count in Counter(hops).most_common()}
    dims = Counter(widest_dimension(dict(enumerate(one.levels_ev, 1)), dim_window_ev) for one in of_draws)
    return PercolationIntervals(
        levels_ev=levels_ev,
        at_dim_ev=levels_ev.get(point.percolation_dim),
        bottlenecks=bottlenecks,
        dims={dim: count / n_draws for dim, count in sorted(dims.items())},
        draws=n_draws,
    )


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
