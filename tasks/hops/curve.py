"""Curves through the images of a path: even resampling, extrema, and where a path should be cut in two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST_STEP_ANG = 1e-9
"""Images closer than this count as one: a spline needs distinct knots."""


@dataclass(frozen=True)
class Extremum:
    """A minimum or maximum of the energy along a path, ends left out.

    Parameters
    ----------
    fraction : float
        Where it lies, as the share of the path's length from its start.
    energy_ev : float
        Above the lower of the two ends.
    kind : {"minimum", "maximum"}
        Which it is.
    """

    fraction: float
    energy_ev: float
    kind: Literal["minimum", "maximum"]


class Curve:
    """A smooth curve through points, by the length of the chords between them.

    Parameters
    ----------
    points_ang : ndarray of shape (P, 3)
        Images in Å, at least two.
    """

    def __init__(self, points_ang: NDArray[np.float64]) -> None:
        steps = np.linalg.norm(np.diff(points_ang, axis=0), axis=1)
        apart = np.concatenate([[True], steps > SHORTEST_STEP_ANG])
        knots = np.concatenate([[0.0], np.cumsum(steps)])
        self.length_ang = float(knots[-1])
        self._still = points_ang[0] if apart.sum() < 2 else None  # noqa: PLR2004 - a curve needs two points
        if self._still is None:
            self._spline = CubicSpline(knots[apart], points_ang[apart], bc_type="natural")

    def at(self, fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points at shares of the length, shape (n, 3)."""
        if self._still is not None:
            return np.repeat(self._still[None], len(fractions), axis=0)
        points: NDArray[np.float64] = self._spline(fractions * self.length_ang)
        return points


def even_points(points_ang: NDArray[np.float64], n_points: int) -> NDArray[np.float64]:
    """Return points evenly spaced along the curve through some images.

    Parameters
    ----------
    points_ang : ndarray of shape (P, 3)
        Images in Å.
    n_points : int
        How many points, ends included.

    Returns
    -------
    ndarray of shape (n_points, 3)
        The first and the last are the images' own.
    """
    points = Curve(points_ang).at(np.linspace(0.0, 1.0, n_points))
    points[0], points[-1] = points_ang[0], points_ang[-1]
    return points


def find_extrema(
    fractions: NDArray[np.float64], energies_ev: NDArray[np.float64], *, least_ev: float
) -> tuple[Extremum, ...]:
    """Return the extrema of a sampled energy that stand out by some amount.

    Parameters
    ----------
    fractions : ndarray of shape (n,)
        Where it was sampled, ascending.
    energies_ev : ndarray of shape (n,)
        The energy there.
    least_ev : float
        A rise and the fall after it count when both are more than this.

    Returns
    -------
    tuple of Extremum
        Minima and maxima in turn, in order along the path.
    """
    floor = min(energies_ev[0], energies_ev[-1])
    found: list[Extremum] = []
    # Walking along, an extremum is settled once the energy has come back from it by enough. The first such
    # turn settles none: what lies before it does not stand out from the start, as the end asks too.
    low = high = 0
    rising: bool | None = None
    for k in range(1, len(energies_ev)):
        energy = energies_ev[k]
        low = k if energy < energies_ev[low] else low
        high = k if energy > energies_ev[high] else high
        if rising is not False and energies_ev[high] - energy > least_ev:
            if rising is not None:
                found.append(Extremum(float(fractions[high]), float(energies_ev[high] - floor), "maximum"))
            rising, low = False, k
        elif rising is not True and energy - energies_ev[low] > least_ev:
            if rising is not None:
                found.append(Extremum(float(fractions[low]), float(energies_ev[low] - floor), "minimum"))
            rising, high = True, k
    return tuple(found)
