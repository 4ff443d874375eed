"""What a relaxed path is: positions, energies, transition state, convergence; read without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.curve import Extremum
    from tasks.hops.path import HopEnvironment

STAGE_VERSION = 2
"""Raised whenever the same hop gives another path: it is part of the keys that results stand under."""

PathKind = Literal["straight", "bvse", "bvse_fixed_ends"]


@dataclass(frozen=True)
class RelaxedPath:
    """The path of one hop, from site i to site j, and how it was found.

    Parameters
    ----------
    kind : {"straight", "bvse", "bvse_fixed_ends"}
        Straight where parameters are missing or the images ran away; with fixed ends where the hop collapsed.
    positions_ang : ndarray of shape (21, 3)
        Evenly spaced along the path, in the frame of the environment, in Å.
    energies_ev : ndarray of shape (21,)
        BVSE there, above the lower end, in eV; NaN for a straight path.
    saddle_ang : ndarray of shape (3,)
        The transition state, in Å; the middle of a straight path.
    saddle_fraction : float
        Where it lies, as a share of the path's length.
    barrier_forward_ev, barrier_reverse_ev : float
        Saddle above the start and above the end; NaN for a straight path.
    converged : bool or None
        Whether no force above 0.05 eV/Å is left; None where nothing was relaxed, False where the images ran
        away.
    residual_force_ev_ang : float
        Largest force left on any image; NaN where nothing was relaxed.
    steps : int
        Steps of the longest relaxation.
    collapsed : bool
        Whether an end left its site.
    end_shift_ang : float
        Furthest that an end moved or, in a collapsed hop, would have moved.
    extrema : tuple of Extremum
        Every minimum and maximum between the ends.
    intermediates_ang : ndarray of shape (n, 3)
        Minima at which the hop was split, in Å.
    missing : tuple of str
        What parameters are missing.
    """

    kind: PathKind
    positions_ang: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    saddle_ang: NDArray[np.float64]
    saddle_fraction: float
    barrier_forward_ev: float
    barrier_reverse_ev: float
    converged: bool | None
    residual_force_ev_ang: float
    steps: int
    collapsed: bool
    end_shift_ang: float
    extrema: tuple[Extremum, ...] = ()
    intermediates_ang: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    missing: tuple[str, ...] = ()

    @property
    def barrier_ev(self) -> float:
        """E(saddle) - min(E_i, E_j) in eV; NaN for a straight path."""
        return max(self.barrier_forward_ev, self.barrier_reverse_ev)

    @property
    def length_ang(self) -> float:
        """Length of the path in Å."""
        return float(np.linalg.norm(np.diff(self.positions_ang, axis=0), axis=1).sum())


def straight(env: HopEnvironment, missing: tuple[str, ...] = ()) -> RelaxedPath:
    """Return the straight path of a hop as it is.

    Parameters
    ----------
    env : HopEnvironment
        The hop.
    missing : tuple of str
        Why it is not relaxed.

    Returns
    -------
    RelaxedPath
        Of kind ``straight``, without energies.
    """
    ends = env.path_ang[[0, -1]]
    nan = float("nan")
    return RelaxedPath(
        kind="straight",
        positions_ang=env.path_ang,
        energies_ev=np.full(len(env.path_ang), nan),
        saddle_ang=ends.mean(axis=0),
        saddle_fraction=0.5,
        barrier_forward_ev=nan,
        barrier_reverse_ev=nan,
        converged=None,
        residual_force_ev_ang=nan,
        steps=0,
        collapsed=False,
        end_shift_ang=0.0,
        missing=missing,
    )
