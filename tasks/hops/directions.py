"""Percolation directions in words that crystallographers use: [010], (001), isotropic."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, symmetry_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from tasks.hops.periodic import Vector

MAX_DENOMINATOR = 24
"""Stored lattice vectors are this simple fractions of conventional ones: centring and common supercells."""

LINE, PLANE = 1, 2


def conventional_direction(
    structure: Structure, directions: Sequence[Vector], *, symprec: float = DEFAULT_SYMPREC_ANG
) -> str:
    """Describe percolation directions in the conventional cell of spglib.

    Parameters
    ----------
    structure : Structure
        The crystal whose stored cell the vectors refer to.
    directions : sequence of tuple of int
        Independent lattice vectors of the stored cell: one, two or three.
    symprec : float
        Distance tolerance of the space group, in Å.

    Returns
    -------
    str
        For one vector its direction, such as ``[010]``; for two the Miller indices of the plane that they
        span, such as ``(001)``; for three ``isotropic``; for none an empty string. Where spglib finds no
        symmetry the stored cell counts as conventional.
    """
    if not directions:
        return ""
    if len(directions) > PLANE:
        return "isotropic"
    dataset = symmetry_dataset(structure, symprec)
    matrix = np.eye(3) if dataset is None else np.asarray(dataset.transformation_matrix, dtype=np.float64)
    # Positions transform as x_std = P x + p, so lattice vectors transform as v_std = P v.
    vectors = [_whole(matrix @ np.asarray(vector, dtype=np.float64)) for vector in directions]
    if len(vectors) == LINE:
        return f"[{_digits(vectors[0])}]"
    (a, b, c), (u, v, w) = vectors
    return f"({_digits(_lowest((b * w - c * v, c * u - a * w, a * v - b * u)))})"


def _whole(vector: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Vector:
    """Return the smallest whole-number vector along a vector of simple fractions."""
    parts = [Fraction(float(x)).limit_denominator(MAX_DENOMINATOR) for x in vector]
    common = lcm(*(part.denominator for part in parts))
    x, y, z = (int(part * common) for part in parts)
    return _lowest((x, y, z))


def _lowest(vector: Vector) -> Vector:
    """Divide by the common divisor and make the first entry that is not zero positive."""
    divisor = gcd(*vector)
    if divisor == 0:
        return vector
    sign = 1 if vector > (0, 0, 0) else -1
    x, y, z = (sign * entry // divisor for entry in vector)
    return (x, y, z)


def _digits(vector: Vector) -> str:
    """Write indices without spaces, as is usual, unless one has two digits."""
    separator = "" if all(abs(entry) <= 9 for entry in vector) else " "  # noqa: PLR2004
    return separator.join(str(entry) for entry in vector)
