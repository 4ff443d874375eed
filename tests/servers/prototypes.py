"""The crystals that the protocol server's materials are made of: reference structures with other metals."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
import spglib

from tasks.candidates import reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARENTS = (
    "ref-licoo2",
    "ref-limno2-orthorhombic",
    "ref-litio2-anatase",
    "ref-liruo2",
    "ref-litis2",
    "ref-li2mno3",
    "ref-limn2o4",
    "ref-li2fesio4",
    "ref-lifepo4",
)
METALS = (
    "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zr", "Nb", "Mo", "Ru", "Rh", "Al", "Sc", "Ga", "Ir", "Mg",
    "Zn", "In", "Sn", "Ta",
)  # fmt: skip
ION = "Li"
SYMPREC_ANG = 0.1
SYSTEMS = (
    (2, "Triclinic"), (15, "Monoclinic"), (74, "Orthorhombic"), (142, "Tetragonal"), (167, "Trigonal"),
    (194, "Hexagonal"), (230, "Cubic"),
)  # fmt: skip


@dataclass(frozen=True)
class Prototype:
    """A primitive cell: its lattice in rows, what sits where, and which sites hold the metals."""

    name: str
    matrix_ang: NDArray[np.float64]
    species: tuple[str, ...]
    frac_coords: NDArray[np.float64]
    metal_sites: tuple[int, ...]

    @cached_property
    def frac_lists(self) -> list[list[float]]:
        """Return the fractional coordinates as JSON has them."""
        return [[float(x) for x in row] for row in self.frac_coords]

    def decorated(self, metals: tuple[str, ...], ion: str) -> tuple[str, ...]:
        """Return the species with those metals on the metals' sites and that working ion."""
        found = [ion if symbol == ION else symbol for symbol in self.species]
        for site, metal in zip(self.metal_sites, metals, strict=True):
            found[site] = metal
        return tuple(found)


@dataclass(frozen=True)
class Symmetry:
    """What emmet's SymmetryData says of a structure."""

    number: int
    symbol: str
    point_group: str

    @property
    def system(self) -> str:
        return next(name for last, name in SYSTEMS if self.number <= last)


@cache
def prototype(name: str) -> Prototype:
    """Return the primitive cell of a reference structure."""
    structure = reference.structure(reference.get(name)).get_primitive_structure()
    species = tuple(site.specie.symbol for site in structure)
    return Prototype(
        name=name,
        matrix_ang=np.asarray(structure.lattice.matrix),
        species=species,
        frac_coords=structure.frac_coords % 1.0,
        metal_sites=tuple(i for i, s in enumerate(species) if s not in {ION, "O", "S", "P", "Si", "F"}),
    )


@cache
def decorations(max_sites: int, seed: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return every prototype with every choice of metals, those of fewest different metals first."""
    found = [
        (name, metals)
        for name in PARENTS
        if len(prototype(name).species) <= max_sites
        for metals in combinations_with_replacement(METALS, len(prototype(name).metal_sites))
    ]
    random.Random(seed).shuffle(found)
    return tuple(sorted(found, key=lambda one: len(set(one[1]))))


def symmetry(name: str, metals: tuple[str, ...]) -> Symmetry:
    """Return the space group; it depends only on which metals are equal."""
    return _symmetry(name, tuple(metals.index(metal) for metal in metals))


@cache
def _symmetry(name: str, pattern: tuple[int, ...]) -> Symmetry:
    cell = prototype(name)
    kinds = [f"metal {k}" for k in pattern]
    labels = cell.decorated(tuple(kinds), ION)
    numbers = [sorted(set(labels)).index(label) for label in labels]
    with reference.quiet_spglib():
        found = spglib.get_symmetry_dataset((cell.matrix_ang, cell.frac_coords, numbers), symprec=SYMPREC_ANG)
    return Symmetry(int(found.number), str(found.international), str(found.pointgroup))
