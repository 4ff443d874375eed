"""Tells whether two hops are the same one, whatever cell, order, orientation or direction they come in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from tasks.hops.path import images_in_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tasks.datasets.records import HopRecord

SAME_HOP_ANG = 0.05
"""Lengths of the same hop agree this well: two relaxations of one crystal differ by less."""

REACH_ANG = 7.0
"""How far from the ends atoms are looked at."""

PER_ELEMENT = 8
"""Nearest atoms of each element that are compared."""

PAIRS = 48
"""Distances between atoms that are compared."""

NEAREST_FOR_PAIRS = 40
AT_AN_END_ANG = 1e-3


@dataclass(frozen=True)
class Fingerprint:
    """Lengths of a hop that no choice of cell, orientation, order or direction changes.

    Parameters
    ----------
    kind : tuple
        Moving ion, and the elements within reach with how many lengths of each there are: hops of two kinds
        are never the same.
    lengths_ang : ndarray
        The hop's own length; for each element the least sums of an atom's two distances from the ends, and
        the least distances from the nearer end; the least distances between two atoms near the path.
    """

    kind: tuple[str | int, ...]
    lengths_ang: NDArray[np.float64]


def fingerprint(record: HopRecord) -> Fingerprint:
    """Return what tells one hop from another."""
    lattice, frac = record.crystal.lattice, record.crystal.frac
    ends_frac = np.array([frac[record.i], frac[record.j] + record.image])
    sites, shifts = images_in_box(frac, lattice, ends_frac, REACH_ANG)
    coords = (frac[sites] + shifts) @ lattice
    numbers = np.array([Element(symbol).Z for symbol in record.crystal.symbols], dtype=np.int64)[sites]
    ends = ends_frac @ lattice
    apart = np.linalg.norm(coords[:, None, :] - ends[None, :, :], axis=2)
    host = (apart > AT_AN_END_ANG).all(axis=1) & (apart.min(axis=1) <= REACH_ANG)
    coords, numbers, apart = coords[host], numbers[host], apart[host]
    kind: list[str | int] = [record.ion]
    parts = [np.array([np.linalg.norm(ends[1] - ends[0])])]
    for number in np.unique(numbers):
        mine = apart[numbers == number]
        parts += [np.sort(lengths)[:PER_ELEMENT] for lengths in (mine.sum(axis=1), mine.min(axis=1))]
        kind += [int(number), len(parts[-1])]
    parts.append(_between(coords, apart.sum(axis=1)))
    return Fingerprint((*kind, len(parts[-1])), np.concatenate(parts))


def _between(coords: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least distances between two atoms, each with half of what both are off the path.

    The sorted values do not jump where two atoms are equally far: which of them comes first is no matter.
    """
    order = np.argsort(sums)[:NEAREST_FOR_PAIRS]
    near, off = coords[order], sums[order]
    first, second = np.triu_indices(len(order), 1)
    found = np.linalg.norm(near[first] - near[second], axis=1) + 0.5 * (off[first] + off[second])
    return np.asarray(np.sort(found)[:PAIRS], dtype=np.float64)


def difference_ang(one: Fingerprint, other: Fingerprint) -> float:
    """Return the largest difference of two hops' lengths; infinite for hops of two kinds."""
    if one.kind != other.kind:
        return float("inf")
    return float(np.abs(one.lengths_ang - other.lengths_ang).max())


def same_hops(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs that are the same hop, with how far their lengths differ in Å."""
    kinds: dict[tuple[str | int, ...], list[int]] = defaultdict(list)
    for index, print_ in enumerate(prints):
        kinds[print_.kind].append(index)
    for members in kinds.values():
        lengths = np.array([prints[index].lengths_ang for index in members])
        # Sorted by hop length, so that each is compared with its neighbours in length alone.
        order = np.argsort(lengths[:, 0], kind="stable")
        for place, here in enumerate(order[:-1]):
            behind = order[place + 1 :]
            reach = np.searchsorted(lengths[behind, 0], lengths[here, 0] + SAME_HOP_ANG, side="right")
            gaps = np.abs(lengths[behind[:reach]] - lengths[here]).max(axis=1)
            for other, gap in zip(
                behind[:reach][gaps <= SAME_HOP_ANG], gaps[gaps <= SAME_HOP_ANG], strict=True
            ):
                first, second = sorted((members[here], members[other]))
                yield first, second, float(gap)


def groups_of_same(pairs: Sequence[tuple[int, int, float]]) -> list[list[int]]:
    """Return who is the same hop as who, in groups sorted by their first member."""
    home: dict[int, int] = {}

    def root(index: int) -> int:
        while home.setdefault(index, index) != index:
            index = home[index]
        return index

    for first, second, _ in pairs:
        low, high = sorted((root(first), root(second)))
        home[high] = low
    found: dict[int, list[int]] = defaultdict(list)
    for index in sorted(home):
        found[root(index)].append(index)
    return [found[key] for key in sorted(found)]
