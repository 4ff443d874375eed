"""The structures on which hops are compared: the reference set and devi2025, primitive, each only once."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from tasks.candidates import reference
from tasks.datasets import devi2025
from tests.contract import hop_brute_force as brute_force

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

REFERENCE_ION = "Li"


@dataclass(frozen=True)
class Window:
    """Where the cutoff may lie: in the middle of the widest gap between the lengths in this range.

    The peers look a little beyond the cutoff that they are given (by 0.01 Å, or by nothing), so that a cutoff
    at the edge of a shell would compare roundings.
    """

    low_ang: float
    high_ang: float


NEAR = Window(4.5, 5.5)
"""About 5 Å, as far as such tools are usually asked to look."""

FAR = Window(7.0, 8.5)
"""Several lattice vectors of a small cell, where hops of one length are told apart only with care."""


@dataclass(frozen=True)
class Case:
    """One primitive structure and its ion."""

    name: str
    ion: str
    structure: Structure
    space_group: int


@dataclass(frozen=True)
class Selection:
    """The structures to compare, the names of those that repeat one of them, and why others are left out."""

    cases: tuple[Case, ...]
    repeated: tuple[str, ...]
    left_out: dict[str, str]


def reference_structures(names: Collection[str] | None = None) -> Iterator[tuple[str, str, Structure]]:
    """Name, ion and structure of every reference entry that gets screened, or of those named."""
    for entry in reference.entries():
        if entry.expected == reference.SCREEN and (names is None or entry.material_id in names):
            yield entry.material_id, REFERENCE_ION, reference.structure(entry)


def devi2025_structures(
    folder: Path, names: Collection[str] | None = None
) -> Iterator[tuple[str, str, Structure]]:
    """Name, ion and structure, both ends filled, of every entry of devi2025, or of those named."""
    for split in ("train", "test"):
        for entry in devi2025.read_entries(folder, split):
            name = f"{split}-{entry['jid']}"
            if names is None or name in names:
                structure = devi2025.structure_of(entry)
                yield name, structure[0].specie.symbol, structure


def select(found: Iterable[tuple[str, str, Structure]]) -> Selection:
    """Make structures primitive and keep each once, in their order.

    Two are the same if ion, reduced formula, space group and number of atoms are and `StructureMatcher` says
    so: a crystal with another symmetry (relaxed in a cell that broke it, say) has other orbits and stays.
    """
    kept, repeated, left_out = [], [], {}
    known: dict[tuple[str, str, int, int], list[Structure]] = defaultdict(list)
    matcher = StructureMatcher(primitive_cell=False)
    for name, ion, stored in found:
        structure = primitive(stored)
        shortest_ang = min(brute_force.all_hops(structure, ion, NEAR.high_ang).values(), default=math.inf)
        if shortest_ang < 2 * brute_force.LANDING_ANG:
            left_out[name] = f"two {ion} sites lie {shortest_ang:.3f} Å apart: they are one"
            continue
        group = brute_force.dataset(structure).number
        alike = known[ion, structure.composition.reduced_formula, group, len(structure)]
        if any(matcher.fit(structure, other) for other in alike):
            repeated.append(name)
            continue
        alike.append(structure)
        kept.append(Case(name, ion, structure, group))
    return Selection(tuple(kept), tuple(repeated), left_out)


def primitive(structure: Structure) -> Structure:
    """Return the primitive cell as spglib finds it, its atoms where they are: nothing is symmetrised."""
    with warnings.catch_warnings():
        # spglib announces coming changes of its error handling on every call.
        warnings.simplefilter("ignore", DeprecationWarning)
        lattice, frac, numbers = spglib.standardize_cell(
            (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers),
            to_primitive=True,
            no_idealize=True,
            symprec=brute_force.SYMPREC_ANG,
        )
    return Structure(lattice, numbers, frac)


def cutoff_in(window: Window, case: Case) -> tuple[float, float]:
    """Return the middle of the window's widest gap, to 1e-3 Å, and the gap's width."""
    lengths_ang = brute_force.all_hops(case.structure, case.ion, window.high_ang).values()
    inside_ang = [x for x in lengths_ang if x > window.low_ang]
    marks_ang = np.sort([window.low_ang, window.high_ang, *inside_ang])
    widest = int(np.argmax(np.diff(marks_ang)))
    low_ang, high_ang = marks_ang[widest : widest + 2]
    return round(float(low_ang + high_ang) / 2, 3), float(high_ang - low_ang)
