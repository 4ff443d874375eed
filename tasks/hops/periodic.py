"""Connectivity of periodic graphs, exactly: components and the lattices of their closed walks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Vector = tuple[int, int, int]
Edge = tuple[int, int, int, int, int]

MAX_RANK = 3


class PeriodicGraph:
    """Components of a growing periodic graph, each with the lattice of its closed walks.

    A closed walk in the quotient graph that ends in another cell is a lattice vector along which the
    component repeats. The rank of these vectors is the number of dimensions in which it runs on. Union-find
    with offsets and integer row reduction keep both up to date, edge by edge, without any rounding.

    Parameters
    ----------
    sites : iterable of int
        Site indices; any integers.

    References
    ----------
    Larsen, Pandey, Strange and Jacobsen, Phys. Rev. Mater. 3, 034003 (2019),
    doi:10.1103/PhysRevMaterials.3.034003 (dimensionality by rank).
    """

    def __init__(self, sites: Iterable[int]) -> None:
        self._parent = {site: site for site in sites}
        self._offset: dict[int, Vector] = dict.fromkeys(self._parent, (0, 0, 0))
        self._rows: dict[int, list[Vector | None]] = {}
        self.dimension = 0
        """Largest rank of any component."""

    def add(self, edge: Edge) -> bool:
        """Add an edge from site i to site j in an image.

        Parameters
        ----------
        edge : tuple of int
            (i, j, ox, oy, oz).

        Returns
        -------
        bool
            Whether it told anything new: it merged two components or enlarged a lattice.
        """
        i, j, ox, oy, oz = edge
        root_i, (ax, ay, az) = self._find(i)
        root_j, (bx, by, bz) = self._find(j)
        # Site s lies at root + offset, so root_j sits this far from root_i when the edge is followed.
        step = (ax + ox - bx, ay + oy - by, az + oz - bz)
        if root_i == root_j:
            return step != (0, 0, 0) and self._insert(root_i, step)
        self._parent[root_j] = root_i
        self._offset[root_j] = step
        for row in self._rows.pop(root_j, ()):
            if row is not None:
                self._insert(root_i, row)
        return True

    def directions(self) -> tuple[Vector, ...]:
        """Return a short basis of the lattice of the component that runs in most dimensions.

        Returns
        -------
        tuple of tuple of int
            As many vectors as `dimension`. Of several such components the one with the shortest basis counts,
            and of equally short ones that which lies nearest to the first axes.
        """
        widest = self.widest()
        return () if widest is None else self.basis(widest)

    def widest(self) -> int | None:
        """Return the component whose vectors `directions` returns; None where none repeats."""
        best = [root for root in self._rows if self.rank(root) == self.dimension]
        return min(best, key=lambda root: plainness(self.basis(root))) if best else None

    def component(self, site: int) -> int:
        """Return the site that stands for a site's component; another one may once components merge."""
        return self._find(site)[0]

    def rank(self, site: int) -> int:
        """Return the number of dimensions in which a site's component repeats."""
        rows = self._rows.get(self._find(site)[0])
        return 0 if rows is None else MAX_RANK - rows.count(None)

    def basis(self, site: int) -> tuple[Vector, ...]:
        """Return a short basis of the lattice of a site's component."""
        rows = self._rows.get(self._find(site)[0], [])
        return short_basis(row for row in rows if row is not None)

    def _find(self, site: int) -> tuple[int, Vector]:
        """Return the root of a site and the site's offset from it, shortening the way there."""
        parent = self._parent
        up = parent[site]
        if up == site:
            return site, (0, 0, 0)
        x, y, z = self._offset[site]
        if parent[up] == up:
            return up, (x, y, z)
        root, (u, v, w) = self._find(up)
        offset = (x + u, y + v, z + w)
        parent[site] = root
        self._offset[site] = offset
        return root, offset

    def _insert(self, root: int, vector: Vector) -> bool:
        """Put a vector into a component's lattice; say whether the lattice grew."""
        rows = self._rows.setdefault(root, [None] * MAX_RANK)
        grew = False
        for column in range(MAX_RANK):
            if vector[column] == 0:
                continue
            row = rows[column]
            if row is None:
                rows[column] = vector
                self.dimension = max(self.dimension, MAX_RANK - rows.count(None))
                return True
            # Euclid on the leading entries; where the row's divides the vector's, the row stays as it is.
            while vector[column] != 0:
                quotient = vector[column] // row[column]
                vector = _subtract(vector, row, quotient)
                if vector[column] != 0:
                    row, vector, grew = vector, row, True
            rows[column] = row
        return grew


def prune(sites: Iterable[int], edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return a subset of edges with the same components and the same lattices.

    Parameters
    ----------
    sites : iterable of int
        Site indices.
    edges : iterable of tuple of int
        Edges that always appear together.

    Returns
    -------
    tuple of tuple of int
        The edges that told anything new, in their order.
    """
    graph = PeriodicGraph(sites)
    return tuple(edge for edge in edges if graph.add(edge))


def short_basis(rows: Iterable[Vector]) -> tuple[Vector, ...]:
    """Return a short basis of the lattice that independent integer vectors span.

    Parameters
    ----------
    rows : iterable of tuple of int
        Up to three independent vectors.

    Returns
    -------
    tuple of tuple of int
        Vectors of the same lattice, shortest first, each with a positive first entry.
    """
    basis = [row if row > (0, 0, 0) else _subtract((0, 0, 0), row, 1) for row in rows]
    shrunk = True
    while shrunk:
        shrunk = False
        basis.sort(key=lambda row: (_dot(row, row), tuple(-x for x in row)))
        for a in range(len(basis)):
            for b in range(len(basis)):
                if a == b:
                    continue
                other = basis[b]
                # The nearest whole multiple, halves rounded towards zero so that this comes to an end.
                twice, norm = 2 * _dot(basis[a], other), _dot(other, other)
                quotient = (abs(twice) + norm - 1) // (2 * norm) * (1 if twice > 0 else -1)
                candidate = _subtract(basis[a], other, quotient)
                if _dot(candidate, candidate) < _dot(basis[a], basis[a]):
                    basis[a], shrunk = candidate, True
    signed = [row if row > (0, 0, 0) else _subtract((0, 0, 0), row, 1) for row in basis]
    return tuple(sorted(signed, key=lambda row: (_dot(row, row), tuple(-x for x in row))))


def plainness(basis: tuple[Vector, ...]) -> tuple[int, tuple[int, ...]]:
    """Return what bases of one rank are compared by, the least first.

    Parameters
    ----------
    basis : tuple of tuple of int
        A short basis.

    Returns
    -------
    tuple
        The total squared length, then what says how near the vectors lie to the first axes.
    """
    return sum(_dot(row, row) for row in basis), tuple(-x for row in basis for x in row)


def _dot(a: Vector, b: Vector) -> int:
    """Return the scalar product of two integer vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _subtract(a: Vector, b: Vector, times: int) -> Vector:
    """Return a minus a multiple of b."""
    return (a[0] - times * b[0], a[1] - times * b[1], a[2] - times * b[2])
