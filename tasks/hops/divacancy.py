"""Divacancy hops of layered hosts: through the tetrahedron between two vacant sites and a third."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.orbits import merge, reverse_of
from tasks.hops.path import images_in_box
from tasks.hops.periodic import PeriodicGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tasks.hops.orbits import Orbit, Orbits

NEIGHBOUR_SPREAD = 1.15
"""Hops up to this many times the shortest are nearest-neighbour hops.

The sides of the triangles in layers that a Jahn-Teller ion distorts differ by 9% in LiMnO2 and by 11% in
NaMnO2; the next shell of a triangular lattice is 73% longer.
"""

LAYER_SPREAD = 1.4
"""Layers lie further apart than this many times the shortest hop.

Between O3, O1 and P2 layers hops are at least 1.7 times as long. In corrugated slabs, such as those of
beta-Li2IrO3, 1.17 times suffice: these are no layers.
"""

LAYER_DIMENSION = 2

CORNERS = 4
CORNER_GAP = 1.15
"""The fifth anion from a triangle's middle is at least this many times as far as the fourth, or there is no
tetrahedron: in O3 and O1 layers it is about 1.5 times, while in a P2 layer more lie equally far."""

CORNER_REACH = 2.5
"""Sides of the triangle within which its tetrahedron's corners are looked for."""

ANION_NUMBERS = (7, 8, 9, 16, 17, 34, 35, 52, 53)
"""N, O, F, S, Cl, Se, Br, Te, I."""


@dataclass(frozen=True)
class Divacancy:
    """Symmetry-equivalent pairs of a hop and a common neighbour of its ends.

    Parameters
    ----------
    edges : ndarray of shape (m, 5), int64
        The hops (i, j, ox, oy, oz); ascending together with the vacancies, i and j counting points.
    vacancies : ndarray of shape (m, 4), int64
        The neighbour (k, kx, ky, kz) of each, with i in the home cell.
    direction_symmetric : bool
        Whether an operation maps the hop onto its reverse and keeps the neighbour.
    """

    edges: NDArray[np.int64]
    vacancies: NDArray[np.int64]
    direction_symmetric: bool


def shell(orbits: Sequence[Orbit], spread: float) -> list[Orbit]:
    """Return the orbits of the shortest hops.

    Parameters
    ----------
    orbits : sequence of Orbit
        Those that may count, shortest first.
    spread : float
        How many times as long as the first they may be.

    Returns
    -------
    list of Orbit
        Those that are no longer.
    """
    return [orbit for orbit in orbits if orbit.length_ang <= spread * orbits[0].length_ang]


def is_layered(found: Orbits, orbits: Sequence[Orbit], n_points: int) -> bool:
    """Say whether nearest-neighbour hops connect in two dimensions, and nothing near them in the third.

    Parameters
    ----------
    found : Orbits
        What the orbits index.
    orbits : sequence of Orbit
        Those that may count, shortest first.
    n_points : int
        Points in the primitive cell.

    Returns
    -------
    bool
        Whether they do.
    """
    graph = PeriodicGraph(range(n_points))
    nearest = len(shell(orbits, NEIGHBOUR_SPREAD))
    for number, orbit in enumerate(shell(orbits, LAYER_SPREAD)):
        if number == nearest and graph.dimension != LAYER_DIMENSION:
            return False
        for i, j, ox, oy, oz in found.primitive_edges[orbit.primitive_members].tolist():
            graph.add((i, j, ox, oy, oz))
    return graph.dimension == LAYER_DIMENSION


def find_divacancies(
    found: Orbits,
    nearest: Sequence[Orbit],
    frac: NDArray[np.float64],
    numbers: NDArray[np.int64],
    lattice: NDArray[np.float64],
) -> dict[int, list[Divacancy]]:
    """Find the divacancy hops among nearest-neighbour hops of a layered host.

    Parameters
    ----------
    found : Orbits
        What the orbits index.
    nearest : sequence of Orbit
        Orbits of nearest-neighbour hops.
    frac : ndarray of shape (N, 3)
        Fractional coordinates in the stored cell: the points first, then the atoms of the host.
    numbers : ndarray of shape (N,), int64
        Their atomic numbers; 0 for the points.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.

    Returns
    -------
    dict of int to list of Divacancy
        By the first member, in ``found.edges``, of the hop's orbit.

    References
    ----------
    Van der Ven and Ceder, Electrochem. Solid-State Lett. 3, 301 (2000), doi:10.1149/1.1391130;
    J. Power Sources 97-98, 529 (2001), doi:10.1016/S0378-7753(01)00638-3.
    """
    primitive = np.concatenate([orbit.primitive_members for orbit in nearest])
    label, symmetric, number_of = _label(_triangles(found.primitive_edges, primitive), found)
    stored = np.concatenate([orbit.members for orbit in nearest])
    triangles = _triangles(found.edges, stored)
    groups: dict[int, list[NDArray[np.int64]]] = {}
    for triangle in triangles:
        number = number_of.get((int(found.in_primitive[triangle[0]]), int(found.in_primitive[triangle[1]])))
        if number is not None:
            groups.setdefault(int(label[number]), []).append(triangle)
    orbit_of = {int(row): int(orbit.members[0]) for orbit in nearest for row in orbit.members}
    result: dict[int, list[Divacancy]] = {}
    for number, members in groups.items():
        first = members[0]
        if not _is_tetrahedron(_corners(found.edges, first, frac), frac, numbers, lattice):
            continue
        edges, vacancies = _spelled_out(found.edges, np.array(members))
        one = Divacancy(edges, vacancies, direction_symmetric=bool(symmetric[number]))
        result.setdefault(orbit_of[int(first[0])], []).append(one)
    for alternatives in result.values():
        alternatives.sort(key=lambda one: (one.edges[0].tolist(), one.vacancies[0].tolist()))
    return result


def _triangles(edges: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """List every hop among the given ones with every common neighbour of its ends.

    A row holds three directed pairs (i to j, i to k, j to k), the first of them the canonical one.
    """
    n_edges = len(edges)
    towards: dict[tuple[int, ...], int] = {}
    leaving: dict[int, list[tuple[int, int, tuple[int, int, int]]]] = {}
    for row, (i, j, ox, oy, oz) in zip(rows.tolist(), edges[rows].tolist(), strict=True):
        for directed, a, b, image in ((row, i, j, (ox, oy, oz)), (row + n_edges, j, i, (-ox, -oy, -oz))):
            towards[a, b, *image] = directed
            leaving.setdefault(a, []).append((directed, b, image))
    found = []
    for neighbours in leaving.values():
        for (first, j, (ox, oy, oz)), (second, k, (kx, ky, kz)) in permutations(neighbours, 2):
            third = towards.get((j, k, kx - ox, ky - oy, kz - oz)) if first < n_edges else None
            if third is not None:
                found.append((first, second, third))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 3)


def _label(
    triangles: NDArray[np.int64], found: Orbits
) -> tuple[NDArray[np.int64], NDArray[np.bool_], dict[tuple[int, int], int]]:
    """Group the triangles of the primitive cell; return also which one two directed pairs span."""
    n_edges, n_triangles = len(found.primitive_edges), len(triangles)
    back = np.column_stack([reverse_of(triangles[:, 0], n_edges), triangles[:, 2]])
    both = np.concatenate([triangles[:, :2], back])
    # The last entry stands for what is not found, and so does the pair -1.
    keys = np.append(both[:, 0] * 2 * n_edges + both[:, 1], np.iinfo(np.int64).max)
    order = np.argsort(keys)
    wanted = found.mapped[:, triangles[:, 0]] * 2 * n_edges + found.mapped[:, triangles[:, 1]]
    where = order[np.searchsorted(keys[order], wanted)]
    mapped = np.where(keys[where] == wanted, where, -1)
    label, symmetric = merge(mapped)
    number_of = {(a, b): row % n_triangles for row, (a, b) in enumerate(both.tolist())}
    return label, symmetric, number_of


def _corners(
    edges: NDArray[np.int64], triangle: NDArray[np.int64], frac: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the fractional coordinates of i, j and k."""
    (edge,), (vacancy,) = _spelled_out(edges, triangle[None])
    i, j, k = edge[0], edge[1], vacancy[0]
    return np.array([frac[i], frac[j] + edge[2:], frac[k] + vacancy[1:]])


def _spelled_out(
    edges: NDArray[np.int64], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the hops and vacancies of triangles, ascending."""
    n_edges = len(edges)
    second = triangles[:, 1]
    to_k, turned = edges[second % n_edges], (second >= n_edges)[:, None]
    vacancies = np.where(turned, np.column_stack([to_k[:, 0], -to_k[:, 2:]]), to_k[:, 1:])
    hops = edges[triangles[:, 0]]
    order = np.lexsort(np.column_stack([hops, vacancies]).T[::-1])
    return hops[order], vacancies[order]


def _is_tetrahedron(
    corners_frac: NDArray[np.float64],
    frac: NDArray[np.float64],
    numbers: NDArray[np.int64],
    lattice: NDArray[np.float64],
) -> bool:
    """Say whether anions form a tetrahedron over a triangle of sites: one on one side, three on the other."""
    corners = corners_frac @ lattice
    middle = corners.mean(axis=0)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    anions = frac[np.isin(numbers, ANION_NUMBERS)]
    if len(anions) == 0:
        return False
    reach_ang = CORNER_REACH * float(np.linalg.norm(corners[1] - corners[0]))
    sites, shifts = images_in_box(anions, lattice, corners_frac.mean(axis=0)[None], reach_ang)
    around = (anions[sites] + shifts) @ lattice - middle
    distance = np.linalg.norm(around, axis=1)
    order = np.argsort(distance)
    if len(order) <= CORNERS or distance[order[CORNERS]] < CORNER_GAP * distance[order[CORNERS - 1]]:
        return False
    above = int((around[order[:CORNERS]] @ normal > 0.0).sum())
    return above in (1, CORNERS - 1)
