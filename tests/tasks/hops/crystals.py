"""Crystals that tests of the hop network share, of many space groups, and naive searches to compare with."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import spglib
from pymatgen.core import Lattice, Structure


def build(group, lattice, species, coords):
    """Build a crystal, silencing pymatgen's note on how it rounds CIF-like coordinates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_spacegroup(group, lattice, species, coords)


def octahedral_layers(ion, metal, anion, a_ang, c_ang, z):
    """An O3 layered host, ABO2, in its hexagonal cell."""
    return build(
        "R-3m",
        Lattice.hexagonal(a_ang, c_ang),
        [ion, metal, anion],
        [[0, 0, 0.5], [0, 0, 0], [0, 0, z]],
    )


def prismatic_layers(ion="Na"):
    """A P2 layered host with one of its two prism sites filled, after Na0.7CoO2 (P6_3/mmc)."""
    return build(
        "P6_3/mmc",
        Lattice.hexagonal(2.833, 10.88),
        [ion, "Co", "O"],
        [[1 / 3, 2 / 3, 0.75], [0, 0, 0], [1 / 3, 2 / 3, 0.0913]],
    )


def single_layers():
    """An O1 layered host, LiTiS2 (P-3m1; Dahn et al., Can. J. Phys. 58, 207 (1980))."""
    return build(
        "P-3m1",
        Lattice.hexagonal(3.458, 6.195),
        ["Li", "Ti", "S"],
        [[0, 0, 0.5], [0, 0, 0], [1 / 3, 2 / 3, 0.2405]],
    )


def distorted_layers():
    """Layered NaMnO2 (C2/m), whose triangles a Jahn-Teller ion distorts.

    Jansen and Hoppe, Z. anorg. allg. Chem. 399, 163 (1973).
    """
    return build(
        "C2/m",
        Lattice.monoclinic(5.662, 2.860, 5.799, 113.14),
        ["Na", "Mn", "O"],
        [[0, 0.5, 0.5], [0, 0, 0], [0.2891, 0, 0.7964]],
    )


def spinel(ion="Li", metal="Mn", a_ang=8.247):
    """A cubic spinel; the group's first origin lies on the ion, 16c at 1/8 (1, 1, 1) and equivalents."""
    return build("Fd-3m", Lattice.cubic(a_ang), [ion, metal, "O"], [[0, 0, 0], [0.625] * 3, [0.3886] * 3])


def empty_octahedra(crystal):
    """Fractional coordinates of the spinel's 16c sites, in its conventional cell."""
    sites = build("Fd-3m", crystal.lattice, ["He"], [[0.125] * 3])
    return sites.frac_coords


def phosphate():
    """Beta-Li3PO4 (Pmn2_1; Keffer et al., Inorg. Chem. 6, 119 (1967))."""
    return build(
        "Pmn2_1",
        Lattice.orthorhombic(6.1150, 5.2394, 4.8554),
        ["Li", "Li", "P", "O", "O", "O"],
        [
            [0.248, 0.328, 0.986],
            [0.5, 0.843, 0.989],
            [0, 0.8244, 0],
            [0.2089, 0.6870, 0.8967],
            [0, 0.1070, 0.9005],
            [0, 0.8160, 0.3160],
        ],
    )


def antifluorite(ion="Li", anion="O", a_ang=4.619):
    """An antifluorite, such as Li2O."""
    return build("Fm-3m", Lattice.cubic(a_ang), [ion, anion], [[0.25] * 3, [0, 0, 0]])


def tetragonal():
    """A polar tetragonal crystal (P4mm)."""
    return build(
        "P4mm",
        Lattice.tetragonal(3.2, 4.1),
        ["Li", "O", "F"],
        [[0, 0, 0], [0.5, 0.5, 0.2], [0.5, 0.5, 0.65]],
    )


def trigonal():
    """A chiral trigonal crystal in a general position (P3_121)."""
    return build(
        "P3_121",
        Lattice.hexagonal(5.3, 6.1),
        ["Li", "Fe", "O"],
        [[0.1, 0.43, 0.07], [0.52, 0, 1 / 3], [0.71, 0.3, 0.2]],
    )


def triclinic():
    """A crystal with nothing but an inversion centre (P-1)."""
    return build(
        "P-1",
        Lattice.from_parameters(4.1, 4.9, 5.6, 82.0, 77.0, 101.0),
        ["Li", "Li", "V", "O", "O"],
        [[0.11, 0.21, 0.34], [0.42, 0.67, 0.13], [0, 0.5, 0.5], [0.3, 0.85, 0.71], [0.77, 0.3, 0.86]],
    )


def featureless():
    """A crystal without any symmetry (P1)."""
    rng = np.random.default_rng(5)
    frac = np.array(list(itertools.product([0.1, 0.6], repeat=3))) + rng.uniform(-0.08, 0.08, (8, 3))
    return Structure(Lattice.from_parameters(5.2, 5.6, 6.1, 84.0, 97.0, 103.0), ["Li", "O"] * 4, frac)


def dataset_of(structure, symprec=0.01):
    """What spglib says."""
    with warnings.catch_warnings():
        # spglib announces coming changes of its error handling on every call.
        warnings.simplefilter("ignore")
        return spglib.get_symmetry_dataset(
            (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers), symprec=symprec
        )


def undirected(i, j, image):
    """The smaller of a pair's two directions."""
    return min((i, j, *image), (j, i, *(-x for x in image)))


def naive_pairs(structure, cutoff_ang, ion="Li"):
    """All undirected pairs of the ion's sites, by plain loops over images."""
    sites = [k for k, site in enumerate(structure) if site.specie.symbol == ion]
    pairs = set()
    for i, j, *image in itertools.product(sites, sites, *[range(-4, 5)] * 3):
        vector = structure[j].frac_coords + image - structure[i].frac_coords
        if 0 < np.linalg.norm(vector @ structure.lattice.matrix) <= cutoff_ang:
            pairs.add(undirected(i, j, image))
    return pairs


def naive_triangles(structure, side_ang, ion="Li"):
    """Every pair up to a length with every common neighbour within it, (i, j, ox, oy, oz, k, kx, ky, kz)."""
    pairs = naive_pairs(structure, side_ang, ion)
    both = pairs | {(j, i, *(-x for x in image)) for i, j, *image in pairs}
    found = set()
    for i, j, *image in pairs:
        for a, k, *other in both:
            if a == i and (j, k, *(y - x for x, y in zip(image, other, strict=True))) in both:
                found.add((i, j, *image, k, *other))
    return found


class Movers:
    """The space group, moving points by their coordinates and looking them up again."""

    def __init__(self, structure, ion="Li"):
        self.structure = structure
        self.found = dataset_of(structure)
        self.sites = [k for k, site in enumerate(structure) if site.specie.symbol == ion]

    def locate(self, point):
        """The site at a point, and its cell."""
        for k in self.sites:
            rest = point - self.structure[k].frac_coords
            if np.linalg.norm((rest - np.rint(rest)) @ self.structure.lattice.matrix) < 0.05:
                return k, np.rint(rest).astype(int)
        raise AssertionError

    def images(self, *sites):
        """For each operation, where it takes sites (k, image)."""
        points = [self.structure[k].frac_coords + np.array(image) for k, image in sites]
        for turn, move in zip(self.found.rotations, self.found.translations, strict=True):
            yield [self.locate(turn @ point + move) for point in points]


def naive_pair_orbits(structure, pairs, ion="Li"):
    """Group pairs by moving both ends' coordinates with every operation."""
    movers, orbits, left = Movers(structure, ion), [], set(pairs)
    while left:
        i, j, *image = min(left)
        members = {
            undirected(a, b, [int(x) for x in cell_b - cell_a])
            for (a, cell_a), (b, cell_b) in movers.images((i, (0, 0, 0)), (j, image))
        }
        orbits.append(tuple(sorted(members)))
        left -= members
    return sorted(orbits)


def naive_triangle_orbits(structure, triangles, ion="Li"):
    """Group pairs with a common neighbour by moving all three coordinates with every operation."""
    movers, orbits, left = Movers(structure, ion), [], set(triangles)
    while left:
        i, j, ox, oy, oz, k, *other = min(left)
        members = set()
        for (a, cell_a), (b, cell_b), (c, cell_c) in movers.images(
            (i, (0, 0, 0)), (j, (ox, oy, oz)), (k, other)
        ):
            forward = (a, b, *(cell_b - cell_a).tolist(), c, *(cell_c - cell_a).tolist())
            backward = (b, a, *(cell_a - cell_b).tolist(), c, *(cell_c - cell_b).tolist())
            members.add(min(forward, backward))
        orbits.append(tuple(sorted(members)))
        left -= members
    return sorted(orbits)
