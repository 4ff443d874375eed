"""Distinct materials in any number: small reference structures with other metals, in cells of other sizes."""

from __future__ import annotations

from itertools import combinations_with_replacement, count
from typing import TYPE_CHECKING

from flows.bench.structures import reference_materials
from tasks.candidates.reference_checks import space_group_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pymatgen.core import Structure

METALS = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni")
"""Put in each other's place: each is at home in the valences of the others."""

MAX_SITES = 12
"""Largest primitive cell that is varied."""

STEP = 1.018
"""Linear factor between two sizes of a cell: further apart in volume than duplicates may be."""


def variants(metals: Sequence[str] = METALS) -> Iterator[tuple[str, Structure]]:
    """Yield structures without end, each another material, under a name of its own; always the same ones.

    Parameters
    ----------
    metals : sequence of str
        What is put in the places of `METALS`.
    """
    found = [
        (name, parent, chosen)
        for name, parent in _parents()
        for chosen in combinations_with_replacement(metals, len(_metal_sites(parent)))
        if chosen
    ]
    # Those of fewest different metals first: they keep most symmetry, and so have fewest hops.
    found.sort(key=lambda one: len(set(one[2])))
    for size in count():
        # Ever further from the size of the parent, by turns to either side.
        step = (size + 1) // 2 * (1 if size % 2 else -1)
        for name, parent, chosen in found:
            yield f"{name}-{''.join(chosen)}-{size}", _varied(parent, chosen, STEP**step)


def _parents() -> list[tuple[str, Structure]]:
    """Return small structures, one of a type: two of one type would be made the same by the same metals."""
    found: dict[tuple[str, int | None], tuple[str, Structure]] = {}
    for material in reference_materials():
        if len(material.structure) <= MAX_SITES:
            primitive = material.structure.get_primitive_structure()
            kind = (primitive.composition.anonymized_formula, space_group_number(primitive))
            found.setdefault(kind, (material.name, primitive))
    return list(found.values())


def _metal_sites(structure: Structure) -> list[int]:
    return [k for k, site in enumerate(structure) if site.specie.symbol in METALS]


def _varied(parent: Structure, metals: tuple[str, ...], factor: float) -> Structure:
    varied = parent.copy()
    varied.remove_oxidation_states()
    for site, metal in zip(_metal_sites(parent), metals, strict=True):
        varied.replace(site, metal)
    varied.scale_lattice(parent.volume * factor**3)
    return varied


def write_variants(folder: Path, materials: int, metals: Sequence[str] = METALS) -> None:
    """Write so many of them into a folder, a POSCAR each."""
    folder.mkdir(parents=True)
    for _, (name, structure) in zip(range(materials), variants(metals), strict=False):
        structure.to(filename=str(folder / f"{name}.vasp"), fmt="poscar")
