"""Structures that the tests of the hops package share, built from published crystallography."""

from __future__ import annotations

import warnings

import pytest
from pymatgen.core import Lattice, Structure


def build(group, lattice, species, coords):
    """Build a crystal, silencing pymatgen's note on how it rounds CIF-like coordinates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_spacegroup(group, lattice, species, coords)


def lithium_cobaltate():
    """Layered LiCoO2 (Akimoto et al., J. Solid State Chem. 141, 298 (1998))."""
    return build(
        "R-3m",
        Lattice.hexagonal(2.8161, 14.0536),
        ["Li", "Co", "O"],
        [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.23951]],
    )


def olivine():
    """Olivine LiFePO4 (Streltsov et al., Acta Cryst. B49, 147 (1993))."""
    return build(
        "Pnma",
        Lattice.orthorhombic(10.332, 6.010, 4.692),
        ["Li", "Fe", "P", "O", "O", "O"],
        [
            [0, 0, 0],
            [0.28222, 0.25, 0.97472],
            [0.09486, 0.25, 0.41820],
            [0.09678, 0.25, 0.74279],
            [0.45710, 0.25, 0.20602],
            [0.16558, 0.04646, 0.28478],
        ],
    )


def lithium_manganate():
    """Lithium-rich Li2MnO3 (Boulineau et al., Solid State Ionics 180, 1652 (2009))."""
    return build(
        "C2/m",
        Lattice.monoclinic(4.937, 8.532, 5.030, 109.46),
        ["Li", "Li", "Li", "Mn", "O", "O"],
        [
            [0, 0.5, 0],
            [0, 0, 0.5],
            [0, 0.6606, 0.5],
            [0, 0.1670, 0],
            [0.2189, 0, 0.2273],
            [0.2540, 0.3214, 0.2233],
        ],
    )


def spinel():
    """Cubic LiMn2O4; the group's first origin lies on a lithium site, manganese on 16d (5/8, 5/8, 5/8)."""
    return build("Fd-3m", Lattice.cubic(8.247), ["Li", "Mn", "O"], [[0, 0, 0], [0.625] * 3, [0.3886] * 3])


BUILDERS = {
    "LiCoO2": lithium_cobaltate, "LiFePO4": olivine, "Li2MnO3": lithium_manganate, "LiMn2O4": spinel
}  # fmt: skip


@pytest.fixture(scope="session")
def structures():
    """The crystals by formula."""
    return {name: make() for name, make in BUILDERS.items()}
