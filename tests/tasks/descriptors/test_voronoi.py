"""Solid angles of Voronoi facets against closed forms, random rays, Qhull's own cells and known sites."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial import Voronoi

from tasks.candidates import reference
from tasks.descriptors.voronoi import N_NEAREST, facet_count, neighbours, solid_angles

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3.0)


@pytest.mark.parametrize(
    "corners", [OCTAHEDRON, TETRAHEDRON, CUBE], ids=["octahedron", "tetrahedron", "cube"]
)
def test_corners_of_a_regular_shape_share_the_sky_evenly(corners):
    angles = solid_angles(2.1 * corners)
    assert angles == pytest.approx(np.full(len(corners), 4.0 * np.pi / len(corners)))
    assert facet_count(angles) == pytest.approx(len(corners))
    assert neighbours(angles).tolist() == list(range(len(corners)))


@pytest.mark.parametrize("ratio", [1.1, 1.5, 3.0])
def test_stretched_octahedron(ratio):
    # Its cell is a square box; a rectangle 2a x 2b at distance h takes 4 atan(ab / (h sqrt(a² + b² + h²))).
    angles = solid_angles(2.0 * OCTAHEDRON * [1.0, 1.0, ratio])
    far = 4.0 * math.atan(1.0 / (ratio * math.sqrt(2.0 + ratio**2)))
    near = (4.0 * np.pi - 2.0 * far) / 4.0
    assert angles == pytest.approx([near, near, near, near, far, far])
    assert len(neighbours(angles)) == (6 if far >= 0.5 * near else 4)


def test_body_centred_lattice_has_eight_hexagons_and_six_squares():
    rays = np.concatenate([CUBE * np.sqrt(3.0) / 2.0, OCTAHEDRON])
    angles = solid_angles(3.0 * rays)
    # A square of half diagonal 1/4 at distance 1/2, seen from the centre of a cell of edge 1: half side a.
    a = 0.25 / math.sqrt(2.0)
    square = 4.0 * math.atan(a * a / (0.5 * math.sqrt(2.0 * a * a + 0.25)))
    assert angles[8:] == pytest.approx(np.full(6, square))
    assert angles[:8] == pytest.approx(np.full(8, (4.0 * np.pi - 6.0 * square) / 8.0))


def test_share_of_random_rays():
    # A ray leaves the cell through the plane that it meets first.
    rng = np.random.default_rng(3)
    for count in (6, 12, 60):
        vectors = rng.normal(size=(count, 3)) * 2.0
        vectors *= np.maximum(1.0, 1.2 / np.linalg.norm(vectors, axis=1))[:, None]
        angles = solid_angles(vectors)
        rays = rng.normal(size=(200_000, 3))
        with np.errstate(divide="ignore"):
            inverse = rays @ (2.0 * vectors / (vectors**2).sum(axis=1)[:, None]).T
        share = np.bincount(inverse.argmax(axis=1), minlength=count) / len(rays)
        if angles is None:
            assert (inverse.max(axis=1) <= 0.0).any()
            continue
        assert angles.sum() == pytest.approx(4.0 * np.pi)
        np.testing.assert_allclose(angles / (4.0 * np.pi), share, atol=5e-3)


def excess(centre, polygon):
    """Solid angle of a polygon by its spherical excess, one corner at a time."""
    rays = [(p - centre) / np.linalg.norm(p - centre) for p in polygon]
    total, n = 0.0, len(rays)
    for k in range(n):
        before, here, after = rays[k - 1], rays[k], rays[(k + 1) % n]
        one, two = np.cross(here, before), np.cross(here, after)
        cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
        total += math.acos(max(-1.0, min(1.0, cosine)))
    return total - (n - 2) * math.pi


def test_facets_of_scipy_and_spherical_excess():
    rng = np.random.default_rng(8)
    compared = 0
    for _ in range(10):
        vectors = rng.uniform(-6.0, 6.0, (90, 3))
        vectors = vectors[np.linalg.norm(vectors, axis=1) > 1.0]
        cells = Voronoi(np.concatenate([[[0.0, 0.0, 0.0]], vectors]))
        expected = np.zeros(len(vectors))
        if -1 in cells.regions[cells.point_region[0]]:
            continue
        for (p, q), ridge in zip(cells.ridge_points, cells.ridge_vertices, strict=True):
            if min(p, q) == 0:
                expected[max(p, q) - 1] = excess(np.zeros(3), cells.vertices[ridge])
        np.testing.assert_allclose(solid_angles(vectors), expected, atol=1e-8)
        compared += 1
    assert compared >= 5


def test_far_anions_are_looked_at_where_near_ones_leave_a_corner():
    # All near anions but one lie on one side: what closes the cell is the furthest of all.
    rng = np.random.default_rng(2)
    crowd = rng.normal(size=(N_NEAREST + 10, 3)) * 0.2 + [2.0, 0.0, 0.0]
    rest = 9.0 * TETRAHEDRON * [-1.0, 1.0, 1.0]
    angles = solid_angles(np.concatenate([crowd, rest]))
    assert angles.sum() == pytest.approx(4.0 * np.pi)
    assert (angles[-4:] > 0.0).sum() >= 3


@pytest.mark.parametrize(
    "vectors",
    [
        OCTAHEDRON[:3],
        OCTAHEDRON[:4],
        OCTAHEDRON[:5],
        np.concatenate([OCTAHEDRON, [[0.0, 0.0, 0.0]]]),
        OCTAHEDRON * 0.5 + [3.0, 0.0, 0.0],
    ],
    ids=["too few", "one plane", "half a sky", "on the ion", "one side"],
)
def test_open_cells_have_no_facets(vectors):
    assert solid_angles(2.0 * vectors) is None


def test_rounding_does_not_matter():
    rng = np.random.default_rng(4)
    grid = np.array(
        [[x, y, z] for x in range(-3, 4) for y in range(-3, 4) for z in range(-3, 4)], dtype=float
    )
    anions = 2.0 * grid[grid.sum(axis=1) % 2 == 1]  # around the octahedral hole of an fcc lattice
    perfect = solid_angles(anions)
    assert perfect[neighbours(perfect)] == pytest.approx(np.full(6, 4.0 * np.pi / 6.0))
    for _ in range(5):
        moved = solid_angles(anions + rng.uniform(-1e-7, 1e-7, anions.shape))
        np.testing.assert_allclose(moved, perfect, atol=1e-5)


KNOWN = {
    "layered LiCoO2 (O3)": {6},
    "olivine LiFePO4 (triphylite)": {6},
    "spinel LiMn2O4": {4},
    "beta-Li3PO4": {4},
    "gamma-Li3PO4": {4},
    "Li2FeSiO4, Pmn2_1": {4},
    "tavorite LiFeSO4F": {5},
    "monoclinic LiFeBO3": {4},
}


def test_coordination_of_known_sites():
    by_name = {entry.name: entry for entry in reference.entries()}
    for name, expected in KNOWN.items():
        entry = by_name[name]
        structure = reference.structure(entry)
        anions = {element for element, valence in entry.valences.items() if valence < 0}
        found = set()
        for site in structure:
            if site.specie.symbol == "Li":
                near = structure.get_sites_in_sphere(site.coords, 8.0)
                vectors = [other.coords - site.coords for other in near if other.specie.symbol in anions]
                found.add(len(neighbours(solid_angles(np.array(vectors)))))
        assert found == expected, name
