"""Checks of structures and hops: units of length, atoms on one another, ends, and what lies in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice

from tasks.datasets.findings import Finding, Severity, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tasks.datasets.records import HopRecord

BOHR_ANG = 0.529177210903

SPREAD_OUT = 1.25
"""An atom's nearest neighbour lies, at the median, at most so far over the sum of both covalent radii.

Crystals in Bohr read as Å come out 1.89 times as large, all others below this."""

CROWDED = 0.5
"""The least that the same figure can be; in nm read as Å it is a tenth of what it should be."""

OVERLAP_ANG = 0.7
"""Two atoms nearer than this are an error in the structure: the shortest bond there is, H-H, has 0.74 Å."""

LEAST_HOP_ANG = 0.5
LONGEST_HOP_ANG = 10.0
IN_THE_WAY_ANG = 0.5
"""A host atom nearer to the straight path than this stands in its way."""


@dataclass(frozen=True)
class Geometry:
    """Lengths of one hop and its structure, in Å where a name says so."""

    nearest_ang: float
    spacing: float
    hop_ang: float
    in_the_way_ang: float


def geometry(record: HopRecord) -> Geometry:
    """Return the lengths that checks look at."""
    from ase.data import atomic_numbers, covalent_radii

    crystal, lattice = record.crystal, Lattice(record.crystal.lattice)
    apart = np.array(lattice.get_all_distances(crystal.frac, crystal.frac))
    np.fill_diagonal(apart, min(lattice.abc))
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in crystal.symbols])
    spacing = float(np.median((apart / (radii[:, None] + radii[None, :])).min(axis=1)))
    frac = crystal.frac
    ends = np.array([frac[record.i], frac[record.j] + np.asarray(record.image)]) @ crystal.lattice
    length = float(np.linalg.norm(ends[1] - ends[0]))
    return Geometry(float(apart.min()), spacing, length, _in_the_way_ang(record, lattice, ends))


def _in_the_way_ang(record: HopRecord, lattice: Lattice, ends: NDArray[np.float64]) -> float:
    """Return how near to the straight path the nearest host atom lies, one that is not at its ends."""
    share = np.linspace(0.0, 1.0, 21)[1:-1, None]
    points = (1.0 - share) * ends[0] + share * ends[1]
    others = [k for k in range(len(record.crystal.symbols)) if k not in {record.i, record.j}]
    if not others:
        return float("inf")
    apart = lattice.get_all_distances(lattice.get_fractional_coords(points), record.crystal.frac[others])
    return float(apart.min())


def check_geometry(records: Sequence[HopRecord], *, published: bool) -> list[Finding]:
    """Find lengths in other units, atoms on one another, hops of no or great length, and blocked paths.

    Parameters
    ----------
    records : sequence of HopRecord
        Hops whose ends are sites of their structures.
    published : bool
        Whether others published the set: what is theirs to mend is a warning then.
    """
    bad: Severity = "warning" if published else "error"
    seen = [(record.hop_id, geometry(record)) for record in records]
    large = [name for name, g in seen if g.spacing > SPREAD_OUT]
    small = [name for name, g in seen if g.spacing < CROWDED]
    overlapping = [name for name, g in seen if g.nearest_ang < OVERLAP_ANG and g.spacing >= CROWDED]
    short = [name for name, g in seen if g.hop_ang < LEAST_HOP_ANG]
    long = [name for name, g in seen if g.hop_ang > LONGEST_HOP_ANG]
    blocked = [name for name, g in seen if g.in_the_way_ang < IN_THE_WAY_ANG]
    found = [
        _finding(
            "error",
            "units of length",
            large,
            f"atoms lie too far apart for Å; lengths in Bohr look like this (1 Bohr = {BOHR_ANG:.4f} Å)",
        ),
        _finding("error", "units of length", small, "atoms lie too near for Å; lengths in nm look like this"),
        _finding(bad, "atoms on one another", overlapping, f"two atoms are within {OVERLAP_ANG:g} Å"),
        _finding("error", "hop length", short, f"the ends are within {LEAST_HOP_ANG:g} Å: that is no hop"),
        _finding("warning", "hop length", long, f"the ends are more than {LONGEST_HOP_ANG:g} Å apart"),
        _finding(
            "note" if published else "warning",
            "atoms in the way",
            blocked,
            f"the straight path comes within {IN_THE_WAY_ANG:g} Å of a host atom; the relaxed one goes round",
        ),
    ]
    return [finding for finding in found if finding is not None]


def _finding(severity: Severity, check: str, ids: list[str], what: str) -> Finding | None:
    if not ids:
        return None
    return Finding(severity, check, f"{some(ids)}: {what}.", tuple(ids))
