"""By what rule the peers call two hops equal, written out, so that their miscounts can be explained.

`MigrationHop.__eq__` compares lengths to 1e-3 Å and then asks whether an operation brings start, middle
and end of one hop onto start, middle or end of the other, each by itself and modulo the lattice, within
a tolerance in fractional coordinates: 1e-3 in `DistinctPathFinder`, symprec in `MigrationGraph`. The
former keeps its hops in a set, so that they must also have one hash: the sum of the kinds of their
ends. The latter compares each hop that has no label yet with all that follow, and takes over the label
of one that has. Two things go wrong:

- noise within symprec makes lengths, or landing points, of equivalent hops differ by more: an orbit is split;
- modulo the lattice unlike hops of one length can have the same three points: orbits are merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.contract import hop_brute_force as brute_force
from tests.contract.hop_peers import SYMPREC_ANG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tests.contract.hop_brute_force import BruteOrbit, Directed, Operation

LENGTH_ANG = 1e-3
TOLERANCE_FRAC = {"DistinctPathFinder": 1e-3, "MigrationGraph": SYMPREC_ANG}


@dataclass(frozen=True)
class Explanation:
    """What a peer's rule makes of the orbits."""

    count: int
    split: tuple[int, ...]
    merged: tuple[tuple[int, int], ...]
    text: str


@dataclass(frozen=True)
class _Points:
    """Start, middle and end of a hop in fractional coordinates, its length, and what it is hashed by."""

    frac: NDArray[np.float64]
    length_ang: float
    hashed: int


def explain(structure: Structure, ion: str, orbits: list[BruteOrbit], peer: str) -> Explanation:
    """Group the orbits' hops by a peer's rule and say which orbits it splits and which it merges."""
    operations = brute_force.operations(structure)
    in_a_set = peer == "DistinctPathFinder"
    first_of_kind, kind = np.unique(
        brute_force.dataset(structure).equivalent_atoms, return_index=True, return_inverse=True
    )[1:]
    points: list[_Points] = []
    orbit_of: list[int] = []
    for number, orbit in enumerate(orbits):
        for hop in sorted(direction for both in orbit.hops for direction in both):
            # One of the peers looks only at hops from the first of each kind of site, the other at all once.
            if (hop[0] in first_of_kind) if in_a_set else hop < brute_force.reverse(hop):
                points.append(_points(structure, hop, int(kind[hop[0]] + kind[hop[1]]) if in_a_set else 0))
                orbit_of.append(number)
    labels = (_label_as_a_set if in_a_set else _label_in_turn)(points, operations, TOLERANCE_FRAC[peer])
    classes_of: list[set[int]] = [set() for _ in orbits]
    for number, label in zip(orbit_of, labels, strict=True):
        classes_of[number].add(label)
    split = tuple(n for n, mine in enumerate(classes_of) if len(mine) > 1)
    merged = tuple(
        (a, b) for b in range(len(orbits)) for a in range(b) if not classes_of[a].isdisjoint(classes_of[b])
    )
    return Explanation(len(set(labels)), split, merged, _text(orbits, split, merged))


def _text(orbits: list[BruteOrbit], split: tuple[int, ...], merged: tuple[tuple[int, int], ...]) -> str:
    """Say in words what goes wrong."""
    said = []
    if split:
        spread_ang = max(orbits[n].spread_ang for n in split)
        many = "an orbit" if len(split) == 1 else f"{len(split)} orbits"
        said.append(f"splits {many} by noise (lengths within one spread by up to {spread_ang:.4f} Å)")
    if merged:
        lengths = ", ".join(f"{min(orbits[b].lengths_ang):.3f}" for _, b in merged)
        many = "a pair of orbits" if len(merged) == 1 else f"{len(merged)} pairs of orbits"
        said.append(f"merges {many} equal modulo the lattice only ({lengths} Å)")
    return "; ".join(said)


def _label_as_a_set(hops: list[_Points], operations: list[Operation], tolerance_frac: float) -> list[int]:
    """Label hops by the first that each is equal to."""
    labels: list[int] = []
    for n, hop in enumerate(hops):
        known = (m for m in range(n) if labels[m] == m and _equal(hops[m], hop, operations, tolerance_frac))
        labels.append(next(known, n))
    return labels


def _label_in_turn(hops: list[_Points], operations: list[Operation], tolerance_frac: float) -> list[int]:
    """Label each hop without a label, and what equals it, anew or by what follows."""
    labels = [-1] * len(hops)
    for n, hop in enumerate(hops):
        if labels[n] >= 0:
            continue
        labels[n] = n
        for m in range(n + 1, len(hops)):
            if _equal(hop, hops[m], operations, tolerance_frac):
                if labels[m] < 0:
                    labels[m] = labels[n]
                else:
                    labels[n] = labels[m]
    return labels


def _equal(a: _Points, b: _Points, operations: list[Operation], tolerance_frac: float) -> bool:
    """Whether the rule calls two hops the same."""
    if a.hashed != b.hashed or abs(a.length_ang - b.length_ang) > LENGTH_ANG:
        return False
    for rotation, translation in operations:
        landed = b.frac @ rotation.T + translation
        apart = landed[:, None] - a.frac
        near = (np.abs(apart - np.rint(apart)) <= tolerance_frac).all(axis=2)
        if near.any(axis=1).all():
            return True
    return False


def _points(structure: Structure, hop: Directed, hashed: int) -> _Points:
    """Where a hop starts, passes and ends."""
    i, j, cell = hop
    start, end = structure.frac_coords[i], structure.frac_coords[j] + cell
    length_ang = float(np.linalg.norm((end - start) @ structure.lattice.matrix))
    return _Points(np.array([start, (start + end) / 2, end]), length_ang, hashed)
