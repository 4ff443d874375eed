"""Which candidates are one material: structures are compared in pairs where cheap questions leave doubt."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from storage.records import Candidate

STAGE_VERSION = 1
"""Counted up when other structures are taken for one material than before: all are compared again then."""

MERGED_VOLUME_TOLERANCE = 0.05
"""Most by which the larger volume per atom of two duplicates exceeds the smaller, relative to the smaller."""

SHELL = 12
"""Neighbours of each atom that the fingerprint looks at: a close-packed shell."""

SHELL_TOLERANCE = 0.2
"""Most by which fingerprints of duplicates differ, in units of the edge of the cube that an atom has.

Distances between neighbours change by at most twice the furthest move of an atom, so two structures of which
no atom lies further than 0.1 edges (about 0.2 Å) from its place in the other are never kept apart by it.
"""


@dataclass
class _Group:
    """Materials that stand for themselves, of one formula, working ion and state."""

    rows: list[_Compared] = field(default_factory=list)
    volumes_ang3: list[float] = field(default_factory=list)

    def near(self, one: _Compared) -> list[_Compared]:
        """Return those that may be the same material as another, in their order."""
        if not self.rows:
            return []
        volumes = np.array(self.volumes_ang3)
        own = one.volume_ang3
        within = np.maximum(volumes, own) <= np.minimum(volumes, own) * (1.0 + MERGED_VOLUME_TOLERANCE)
        places = np.flatnonzero(within)
        if len(places) == 0:
            return []
        # Worked out here and not before: most have no other of nearly their volume, run after run.
        differences = np.abs(np.array([self.rows[k].fingerprint() for k in places]) - one.fingerprint())
        alike = (differences <= SHELL_TOLERANCE).all(axis=(1, 2, 3))
        return [self.rows[k] for k in places[alike]]

    def add(self, one: _Compared) -> None:
        self.rows.append(one)
        self.volumes_ang3.append(one.volume_ang3)


class _Compared:
    """A candidate with what comparing it needs, made when it is first asked for."""

    def __init__(self, candidate: Candidate) -> None:
        self.structure_hash = candidate.structure_hash
        self.volume_ang3 = candidate.volume_ang3 / candidate.n_sites
        self._json = candidate.structure_json
        self._fingerprint: NDArray[np.float64] | None = None
        self._reduced: Structure | None = None

    def fingerprint(self) -> NDArray[np.float64]:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._structure())
        return self._fingerprint

    def reduced(self) -> Structure:
        """Return the primitive Niggli cell, which the matcher would find anew for every pair."""
        if self._reduced is None:
            self._reduced = self._structure().get_reduced_structure("niggli").get_primitive_structure()
        return self._reduced

    def _structure(self) -> Structure:
        return Structure.from_dict(json.loads(self._json))


def merge_duplicates(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Return for each structure hash the hash of the material that stands for it, the first in order.

    Structures of the same composition and state are compared by pymatgen's StructureMatcher with its
    defaults, if their volumes per atom agree within 5 % (`MERGED_VOLUME_TOLERANCE`): the matcher scales
    volumes to each other, and a strained crystal has other barriers. Before it is asked, the distances to the
    nearest neighbours of each element must agree (`fingerprint`).

    Parameters
    ----------
    candidates : sequence of Candidate
        Of any formulas, ions and states.
    """
    alike: dict[tuple[str, str, str], list[Candidate]] = {}
    for candidate in candidates:
        alike.setdefault((candidate.formula, candidate.working_ion, candidate.state), []).append(candidate)
    keys: dict[str, str] = {}
    for some in alike.values():
        # One after another, so that the structures of one formula alone are held in memory.
        keys |= _merge_alike(some)
    return keys


def _merge_alike(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Merge candidates of one formula, working ion and state."""
    digests = {row.structure_hash for row in candidates}
    if len(digests) == 1:
        return {digest: digest for digest in digests}
    matcher, group = StructureMatcher(), _Group()
    keys: dict[str, str] = {}
    for candidate in candidates:
        if candidate.structure_hash in keys:
            continue
        one = _Compared(candidate)
        same = next((other for other in group.near(one) if _fit(matcher, one, other)), None)
        if same is None:
            group.add(one)
        keys[one.structure_hash] = one.structure_hash if same is None else same.structure_hash
    return keys


def _fit(matcher: StructureMatcher, one: _Compared, other: _Compared) -> bool:
    return bool(matcher.fit(one.reduced(), other.reduced(), skip_structure_reduction=True))


def fingerprint(structure: Structure) -> NDArray[np.float64]:
    """Return how far the k-th nearest neighbours of each element are, in edges of the cube that an atom has.

    It does not depend on the cell, the order of sites, the origin or the volume, and is no function of the
    space group, which a small distortion changes at once.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.

    Returns
    -------
    ndarray of shape (E, 3, 12)
        For each element, by atomic number: the mean, the least and the largest such distance of its atoms.
    """
    lattice = structure.lattice.get_lll_reduced_lattice()
    frac = lattice.get_fractional_coords(structure.cart_coords) % 1.0
    edge_ang = float(structure.volume / len(structure)) ** (1.0 / 3.0)
    numbers = np.array(structure.atomic_numbers)
    nearest = _nearest_ang(frac, np.asarray(lattice.matrix), edge_ang) / edge_ang
    of_elements = [nearest[numbers == number] for number in np.unique(numbers)]
    return np.array([[some.mean(axis=0), some.min(axis=0), some.max(axis=0)] for some in of_elements])


def _nearest_ang(
    frac: NDArray[np.float64], lattice: NDArray[np.float64], edge_ang: float
) -> NDArray[np.float64]:
    """Return the distances of each atom to its nearest neighbours, periodic images included, (N, 12)."""
    reach_ang = 2.0 * edge_ang
    while True:
        # All images within reach of the home cell: a sphere spans so many cells along each vector.
        margins = np.ceil(reach_ang * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
        spans = [np.arange(-m, m + 1) for m in margins]
        shifts = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 3)
        images = (frac[None] + shifts[:, None]).reshape(-1, 3) @ lattice
        found, _ = cKDTree(images).query(frac @ lattice, k=SHELL + 1)
        # Each atom finds itself first. What lies beyond the reach may have a nearer image that was not made.
        if found.shape[1] == SHELL + 1 and found.max() <= reach_ang:
            return np.asarray(found[:, 1:], dtype=np.float64)
        reach_ang *= 1.5
