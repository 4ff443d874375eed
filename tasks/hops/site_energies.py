"""Energies of sites from differences along hops: least squares over classes of equivalent sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, symmetry_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from tasks.hops.periodic import Edge


@dataclass(frozen=True)
class Step:
    """What one hop tells of its two sites.

    Parameters
    ----------
    i, j : int
        The sites.
    difference_ev : float
        E_j - E_i in eV.
    weight : float
        How many equivalent hops tell the same.
    """

    i: int
    j: int
    difference_ev: float
    weight: float


@dataclass(frozen=True)
class SiteEnergies:
    """Energies of sites as far as differences along hops tell them.

    Parameters
    ----------
    energies_ev : mapping of int to float
        By site, in eV; the mean over the sites of a group is zero.
    group : mapping of int to int
        Sites of one group are comparable; nothing is known between groups.
    """

    energies_ev: Mapping[int, float]
    group: Mapping[int, int]

    def range_ev(self, sites: Sequence[int]) -> float | None:
        """Return the highest minus the lowest of some sites in eV; None where that is not known."""
        groups = {self.group.get(site) for site in sites}
        if len(groups) != 1 or None in groups:
            return None
        energies = [self.energies_ev[site] for site in sites]
        return max(energies) - min(energies)


def site_classes(
    structure: Structure, orbits: Sequence[Sequence[Edge]], *, symprec: float = DEFAULT_SYMPREC_ANG
) -> dict[int, int]:
    """Return a number for each site of a hop network, the same for equivalent sites.

    The space group tells which atoms are equivalent. Sites that hold no atom are told apart by the hops that
    lead there, and from which sites: equivalent ones cannot differ in that.

    Parameters
    ----------
    structure : Structure
        The crystal; sites from its number of atoms on hold none.
    orbits : sequence of sequence of tuple of int
        Equivalents (i, j, ox, oy, oz) of each hop.
    symprec : float
        Distance tolerance of the space group, in Å.

    Returns
    -------
    dict of int to int
        By site, for all sites that a hop touches. Where spglib finds no symmetry each atom is a class.
    """
    dataset = symmetry_dataset(structure, symprec)
    alike = range(len(structure)) if dataset is None else dataset.crystallographic_orbits.tolist()
    classes = {
        site: alike[site] if site < len(structure) else len(structure)
        for edges in orbits
        for edge in edges
        for site in edge[:2]
    }
    empty = [site for site in classes if site >= len(structure)]
    n_classes = 0
    while empty and len(set(classes.values())) > n_classes:
        n_classes = len(set(classes.values()))
        seen: dict[int, list[tuple[int, int]]] = {site: [] for site in empty}
        for hop, edges in enumerate(orbits):
            for i, j, *_ in edges:
                for here, there in ((i, j), (j, i)):
                    if here in seen:
                        seen[here].append((hop, classes[there]))
        named = {site: (classes[site], tuple(sorted(around))) for site, around in seen.items()}
        numbers = {name: len(structure) + k for k, name in enumerate(sorted(set(named.values())))}
        classes |= {site: numbers[name] for site, name in named.items()}
    return classes


def fit_site_energies(classes: Mapping[int, int], steps: Sequence[Step]) -> SiteEnergies:
    """Fit one energy a class of sites to the differences along hops, by weighted least squares.

    Parameters
    ----------
    classes : mapping of int to int
        Class of each site.
    steps : sequence of Step
        Differences; those between sites of one class tell nothing.

    Returns
    -------
    SiteEnergies
        An energy for every site, comparable within a group of classes that differences connect. A class that
        none connects to another is a group of its own.
    """
    names = sorted(set(classes.values()))
    place = {name: k for k, name in enumerate(names)}
    told = [
        (place[classes[step.i]], place[classes[step.j]], step.difference_ev, step.weight)
        for step in steps
        if classes[step.i] != classes[step.j]
    ]
    group = list(range(len(names)))
    for a, b, _, _ in told:
        old, new = group[a], group[b]
        group = [new if g == old else g for g in group]
    matrix = np.zeros((len(told), len(names)))
    for row, (a, b, _, weight) in enumerate(told):
        matrix[row, [a, b]] = -np.sqrt(weight), np.sqrt(weight)
    wanted = np.array([difference * np.sqrt(weight) for _, _, difference, weight in told])
    heights = np.linalg.lstsq(matrix, wanted, rcond=None)[0] if told else np.zeros(len(names))
    energies = {site: float(heights[place[name]]) for site, name in classes.items()}
    group_of = {site: group[place[name]] for site, name in classes.items()}
    for number in set(group_of.values()):
        members = [site for site, g in group_of.items() if g == number]
        mean = sum(energies[site] for site in members) / len(members)
        energies |= {site: energies[site] - mean for site in members}
    return SiteEnergies(energies_ev=energies, group=group_of)
