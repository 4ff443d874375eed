"""The ends of a hop whose supercell marks the point halfway between them by an atom `X`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.datasets.errors import UnreadableHopError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK = "X"

AT_A_SITE_ANG = 0.1
"""A place this near to a site is the site."""

AS_LONG_ANG = 0.02
"""Two hops whose lengths differ by less cannot be told apart by length."""

MOST_CELLS = 12
"""Unit cells along one lattice vector of a supercell, at most."""

EDGE_PARTS = 6
BY_MIDPOINT = (
    "ends found as the two ions nearest to each other about the marked centre, since the edge's numbers "
    "do not name them"
)


@dataclass(frozen=True)
class Ends:
    """The ends of a hop: indices of two sites, and the cell of the second.

    Parameters
    ----------
    i, j : int
        Indices of the sites.
    image : tuple of int
        Cell of site j.
    note : str
        What had to be assumed.
    """

    i: int
    j: int
    image: tuple[int, int, int]
    note: str = ""


def ends_about(
    frac: NDArray[np.float64], cell: NDArray[np.float64], ions: NDArray[np.int64], mark: int, edge_id: str
) -> Ends:
    """Return the ends of the hop that a mark lies halfway along.

    The edge's numbers decide where they fit: the source and the target are sites of the first unit cell in
    the supercell, and the target's cell counts unit cells. Where they do not fit, the two ions that lie
    opposite each other about the mark and nearest to each other are the ends.

    Parameters
    ----------
    frac : ndarray of shape (N, 3)
        Fractional coordinates of all atoms, the mark among them.
    cell : ndarray of shape (3, 3)
        Lattice vectors of the supercell as rows, in Å.
    ions : ndarray of int
        Indices of the ions that may move.
    mark : int
        Index of the mark.
    edge_id : str
        `{material_id}_{source}_{target}_{ox}_{oy}_{oz}`.

    Raises
    ------
    UnreadableHopError
        If no two ions lie opposite each other, or two pairs are equally near.
    """
    pairs = opposite(frac, cell, ions, frac[mark])
    if not pairs:
        raise UnreadableHopError(f"{edge_id}: no two ions lie opposite each other about its mark")
    named = _named(frac, cell, mark, edge_id)
    if named is not None:
        for _, ends in pairs:
            if ends.i == named:
                return ends
    (shortest, ends), *rest = pairs
    for length, other in rest:
        same = {(ends.i, ends.j), (ends.j, ends.i)} & {(other.i, other.j)}
        if length - shortest < AS_LONG_ANG and not same:
            raise UnreadableHopError(
                f"{edge_id}: several pairs of ions are {shortest:.3f} Å apart about its mark, and the edge's "
                "numbers do not tell which of them it is"
            )
    return Ends(ends.i, ends.j, ends.image, BY_MIDPOINT)


def opposite(
    frac: NDArray[np.float64], cell: NDArray[np.float64], ions: NDArray[np.int64], centre: NDArray[np.float64]
) -> list[tuple[float, Ends]]:
    """Return every ion whose opposite about a centre is an ion too, with the hop's length, shortest first."""
    around = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
    found = []
    for i in ions:
        apart = centre - frac[i]
        images = apart - np.round(apart) + around
        # In a skewed cell the nearest image of the centre may be a neighbour of the one that rounding finds.
        half = images[np.argmin(np.linalg.norm(images @ cell, axis=1))]
        end = frac[i] + 2.0 * half
        away = end - frac[ions]
        lengths = np.linalg.norm((away - np.round(away)) @ cell, axis=1)
        nearest = int(np.argmin(lengths))
        image = np.round(away[nearest]).astype(np.int64)
        if lengths[nearest] > AT_A_SITE_ANG or (ions[nearest] == i and not image.any()):
            continue
        x, y, z = (int(k) for k in image)
        length = float(np.linalg.norm(2.0 * half @ cell))
        found.append((length, Ends(int(i), int(ions[nearest]), (x, y, z))))
    return sorted(found, key=lambda pair: (pair[0], pair[1].i))


def _named(frac: NDArray[np.float64], cell: NDArray[np.float64], mark: int, edge_id: str) -> int | None:
    """Return the source that the edge's numbers name, if they and the mark agree; else None."""
    parts = edge_id.rsplit("_", EDGE_PARTS - 1)
    try:
        source, target, *offset = (int(float(part)) for part in parts[1:])
    except ValueError:
        return None
    if len(parts) != EDGE_PARTS or not (0 <= source < len(frac) and 0 <= target < len(frac)):
        return None
    # Twice the centre is the sum of both ends, up to whole supercells.
    left = 2.0 * frac[mark] - frac[source] - frac[target]
    lengths = np.linalg.norm(cell, axis=1)
    for axis, count in enumerate(offset):
        fits = [left[axis] - count / cells for cells in range(1, MOST_CELLS + 1)]
        off = min(abs(gap - round(gap)) for gap in fits)
        if off * lengths[axis] > AT_A_SITE_ANG:
            return None
    return source
