"""Minimax percolation where sites differ in energy: which component counts, and over what level.

Where all sites lie equally high, the first component that percolates is the one that counts. Where they do
not, a component whose saddles lie higher may still be the easier way, since its sites may lie higher too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.errors import HopsError
from tasks.hops.periodic import PeriodicGraph, plainness

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tasks.hops.periodic import Edge, Vector

SITE_ENERGY_TOLERANCE_EV = 1e-3
"""Energies of symmetry-equivalent sites may differ by this much, since they are computed."""

ROUNDING_EV = 1e-9
"""Saddles and levels this near each other are one: they are sums and differences of floats."""


@dataclass(frozen=True)
class Opening:
    """A component of the graph that at some saddle first repeats in some number of dimensions.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    group : int
        Index of the group of hops, of equal saddle, that opened it.
    hop : int
        The hop of that group that did.
    members : tuple of int
        Sites of the component once the whole group is open, ascending.
    rank : int
        Dimensions in which it repeats then.
    basis : tuple of tuple of int
        Short basis of the lattice vectors along which it does.
    """

    dim: int
    group: int
    hop: int
    members: tuple[int, ...]
    rank: int
    basis: tuple[Vector, ...]


@dataclass
class _Growing:
    """The graph while hops are added, and what its components have reached."""

    graph: PeriodicGraph
    members: dict[int, list[int]]
    opened: dict[int, dict[int, int]] = field(default_factory=dict)

    def add(self, hop: int, edge: Edge) -> None:
        """Add an edge of a hop, and note which dimensions it opens for its component."""
        ends = {self.graph.component(edge[0]), self.graph.component(edge[1])}
        before = max(self.graph.rank(end) for end in ends)
        if not self.graph.add(edge):
            return
        root = self.graph.component(edge[0])
        opened: dict[int, int] = {}
        members: list[int] = []
        for end in ends:
            members += self.members.pop(end)
            opened |= self.opened.pop(end, {})
        opened |= dict.fromkeys(range(before + 1, self.graph.rank(root) + 1), hop)
        self.members[root] = members
        if opened:
            self.opened[root] = opened


def openings(
    sites: Iterable[int], groups: Sequence[Sequence[int]], edges: Mapping[int, Sequence[Edge]]
) -> tuple[Opening, ...]:
    """Open hops group by group, and return every component that repeats in more dimensions than its parts.

    Only these can be the easiest way in their number of dimensions: whatever joins a component later opens
    at a higher saddle and can only lower the component's lowest site. Where levels count from occupied
    sites, a component of empty sites keeps the level at which it opened, also when it meets one later.

    Parameters
    ----------
    sites : iterable of int
        Site indices.
    groups : sequence of sequence of int
        Hops of equal saddle, the lowest saddle first.
    edges : mapping of int to sequence of tuple of int
        Equivalents (i, j, ox, oy, oz) of each hop.

    Returns
    -------
    tuple of Opening
        In the order in which they open.
    """
    members = {site: [site] for site in sites}
    growing = _Growing(PeriodicGraph(members), members)
    found = []
    for number, group in enumerate(groups):
        for hop in group:
            for edge in edges[hop]:
                growing.add(hop, edge)
        for root, opened in growing.opened.items():
            whole = tuple(sorted(growing.members[root]))
            rank, basis = growing.graph.rank(root), growing.graph.basis(root)
            found += [Opening(dim, number, hop, whole, rank, basis) for dim, hop in sorted(opened.items())]
        growing.opened.clear()
    return tuple(found)


def ground(members: Sequence[int], sites: Sequence[int], occupied: Collection[int] | None) -> list[int]:
    """Return the sites of which the lowest is where a component's level counts from.

    Parameters
    ----------
    members : sequence of int
        Sites of the component.
    sites : sequence of int
        Sites of the whole graph.
    occupied : collection of int or None
        Sites that ions are on; None for all.

    Returns
    -------
    list of int
        The component's own occupied sites. Where it has none, all occupied sites: before an ion can run along
        a chain of empty sites, it has to be lifted there.
    """
    if occupied is None:
        return list(members)
    for some in (members, sites):
        filled = [site for site in some if site in occupied]
        if filled:
            return filled
    return list(members)


def easiest(found: Iterable[Opening], levels_ev: Sequence[float]) -> tuple[Opening, float]:
    """Return the opening of the least level, and that level.

    Parameters
    ----------
    found : iterable of Opening
        Openings of one number of dimensions.
    levels_ev : sequence of float
        Their levels in eV.

    Returns
    -------
    tuple of Opening and float
        Of equally low ones, that which runs in most dimensions, then the one with the plainest basis.
    """
    ranked = list(zip(found, levels_ev, strict=True))
    least = min(level for _, level in ranked) + ROUNDING_EV
    return min(
        (entry for entry in ranked if entry[1] <= least),
        key=lambda entry: (-entry[0].rank, plainness(entry[0].basis)),
    )


def grouped(order: Sequence[int], saddles_ev: NDArray[np.float64]) -> list[list[int]]:
    """Return hops, given in the order of their saddles, in groups of equal saddle.

    Parameters
    ----------
    order : sequence of int
        Hops, the lowest saddle first.
    saddles_ev : ndarray of shape (hops,)
        Saddles of all hops, in eV.

    Returns
    -------
    list of list of int
        The groups, in the same order.
    """
    groups: list[list[int]] = []
    for hop in order:
        if groups and saddles_ev[hop] - saddles_ev[groups[-1][0]] <= ROUNDING_EV:
            groups[-1].append(hop)
        else:
            groups.append([hop])
    return groups


def hop_saddles_ev(
    orbits: Sequence[Sequence[Edge]],
    barriers_ev: NDArray[np.float64],
    energies_ev: Mapping[int, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the saddle of each hop: its barrier above the lower end, and never below the higher one.

    Barriers and site energies may come from different methods, and no way leads over a site below it.

    Parameters
    ----------
    orbits : sequence of sequence of tuple of int
        Equivalents (i, j, ox, oy, oz) of each hop.
    barriers_ev : ndarray of shape (draws, hops)
        Barriers in eV; NaN for hops that carry none.
    energies_ev : mapping of int to ndarray of shape (draws,)
        Energy of every site, in eV, in each draw.

    Returns
    -------
    ndarray of shape (draws, hops)
        In eV, on the scale of the site energies.

    Raises
    ------
    HopsError
        If equivalent hops join sites of different energies.
    """
    saddles = barriers_ev.copy()
    for k, edges in enumerate(orbits):
        pairs = sorted({(edge[0], edge[1]) for edge in edges})
        if not pairs:
            continue
        ends = np.array([[energies_ev[i], energies_ev[j]] for i, j in pairs])
        low, high = ends.min(axis=1), ends.max(axis=1)
        spread = max(float(np.ptp(low, axis=0).max()), float(np.ptp(high, axis=0).max()))
        if spread > SITE_ENERGY_TOLERANCE_EV:
            raise HopsError(
                f"Site energies of hop {k} differ by {spread:.3g} eV between its equivalent members; "
                f"at most {SITE_ENERGY_TOLERANCE_EV} eV is allowed: give equivalent sites one energy."
            )
        saddles[:, k] = np.maximum(low.mean(axis=0) + saddles[:, k], high.mean(axis=0))
    return saddles


def known_energies_ev(
    site_energies_ev: Mapping[int, float | None] | None,
) -> dict[int, float]:
    """Return the site energies that are known; None and NaN stand for unknown ones.

    Parameters
    ----------
    site_energies_ev : mapping of int to float or None, or None
        Energies by site, in eV.

    Returns
    -------
    dict of int to float
        Those that are numbers.

    Raises
    ------
    HopsError
        If an energy is infinite.
    """
    given = {} if site_energies_ev is None else site_energies_ev
    known = {site: float(e) for site, e in given.items() if e is not None and not math.isnan(e)}
    endless = [site for site, energy in known.items() if math.isinf(energy)]
    if endless:
        raise HopsError(f"The energy of site {endless[0]} is infinite: give a number, or None if unknown.")
    return known
