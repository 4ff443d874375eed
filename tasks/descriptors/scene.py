"""What all descriptor groups share about one hop: who is an anion, who a cation, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from tasks.descriptors.elements import (
    BOND_VALENCE_SOFTNESS_ANG,
    atomic_number,
    bond_valence_distance_ang,
    element_table,
)
from tasks.descriptors.errors import DescriptorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

CUTOFF_ANG = 8.0
"""Reach of every sum over neighbours. Sums fade to zero at it, so that no atom enters or leaves abruptly."""

BONDED_ANG = 6.0
"""Bond valences count in full up to here."""

N_POINTS = 21
"""Path positions of an image."""

SADDLE = N_POINTS
"""Index of the transition state among a scene's points."""

BOND_FACTOR = 1.3
"""Two host atoms closer than this times the sum of their atomic radii are taken for bonded."""


@dataclass(frozen=True)
class Scene:
    """One hop's environment with roles and distances worked out.

    Parameters
    ----------
    env : HopEnvironment
        What was given.
    ion_number : int
        Atomic number of the working ion.
    ion_radius_ang, ion_charge : float
        Crystal radius and oxidation state of the working ion; where the environment does not know the charge,
        NaN.
    points_ang : ndarray of shape (P + 1, 3)
        The path points and, last, the transition state: the middle of a straight path.
    energies_ev : ndarray of shape (P + 1,)
        BVSE there above the lower end; NaN for a straight path.
    distances_ang : ndarray of shape (P + 1, M)
        From each of these points to each host atom.
    is_anion, is_cation, is_working : ndarray of shape (M,), bool
        Roles. Other working ions are cations too. An atom that is neither is neutral.
    gap_ang : ndarray of shape (P + 1, M)
        Distance less the two crystal radii: the room left between the ion and that atom.
    valences : ndarray of shape (P + 1, M)
        Bond valence between the ion and each anion, 0 for other atoms, NaN where parameters are missing. In
        full up to 6 Å; from there to the cutoff the little that is left fades to 0.
    fade : ndarray of shape (P + 1, M)
        Cosine switch from 1 at the ion to 0 at the cutoff.
    """

    env: HopEnvironment
    ion_number: int
    ion_radius_ang: float
    ion_charge: float
    points_ang: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    distances_ang: NDArray[np.float64]
    is_anion: NDArray[np.bool_]
    is_cation: NDArray[np.bool_]
    is_working: NDArray[np.bool_]
    gap_ang: NDArray[np.float64]
    valences: NDArray[np.float64]
    fade: NDArray[np.float64]


def survey(env: HopEnvironment) -> Scene:
    """Work out roles and distances of one hop's environment.

    Parameters
    ----------
    env : HopEnvironment
        The path and its surroundings, cut at 8 Å or further.

    Returns
    -------
    Scene
        What the descriptor groups start from.

    Raises
    ------
    DescriptorError
        If the cluster is cut too short, the path has another number of points, or no anion is there.
    """
    if env.radius_ang < CUTOFF_ANG:
        raise DescriptorError(
            f"The environment reaches {env.radius_ang} Å; descriptors need {CUTOFF_ANG} Å: cut it wider."
        )
    if len(env.path_ang) != N_POINTS:
        raise DescriptorError(f"The path has {len(env.path_ang)} points; descriptors need {N_POINTS}.")
    table = element_table()
    number = atomic_number(env.working_ion)
    is_anion = find_anions(env)
    if not is_anion.any():
        raise DescriptorError(
            f"No anion lies within {env.radius_ang} Å of the path: descriptors are made for ionic crystals."
        )
    is_working = (env.numbers == number) & ~is_anion
    is_cation = ~is_anion & ((env.charges > 0.0) | np.isnan(env.charges))
    points, energies = _points(env)
    distances = cdist(points, env.coords_ang)
    radii = np.where(is_anion, table.anion_radius_ang[env.numbers], table.cation_radius_ang[env.numbers])
    ion_radius = float(table.cation_radius_ang[number])
    lengths = bond_valence_distance_ang(number, env.numbers)
    fade = np.where(distances < CUTOFF_ANG, 0.5 * (1.0 + np.cos(np.pi * distances / CUTOFF_ANG)), 0.0)
    bonds = np.exp((lengths - distances) / BOND_VALENCE_SOFTNESS_ANG)
    valences = np.where(is_anion, bonds * switch(distances, BONDED_ANG, CUTOFF_ANG), 0.0)
    return Scene(
        env=env,
        ion_number=number,
        ion_radius_ang=ion_radius,
        ion_charge=env.working_ion_charge,
        points_ang=points,
        energies_ev=energies,
        distances_ang=distances,
        is_anion=is_anion,
        is_cation=is_cation,
        is_working=is_working,
        gap_ang=distances - ion_radius - radii,
        valences=valences,
        fade=fade,
    )


def _points(env: HopEnvironment) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the path points and the transition state, and their energies."""
    if env.relaxed is None:
        saddle, energies = env.path_ang[[0, -1]].mean(axis=0), np.full(N_POINTS + 1, np.nan)
    else:
        saddle = env.relaxed.saddle_ang
        energies = np.append(env.relaxed.energies_ev, env.relaxed.barrier_ev)
    return np.vstack([env.path_ang, saddle]), energies


def switch(distances_ang: NDArray[np.float64], start_ang: float, end_ang: float) -> NDArray[np.float64]:
    """Return 1 up to the start, 0 from the end on, and a cosine between.

    Parameters
    ----------
    distances_ang : ndarray
        Distances.
    start_ang, end_ang : float
        Where it leaves 1 and where it reaches 0.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    share = np.clip((distances_ang - start_ang) / (end_ang - start_ang), 0.0, 1.0)
    found: NDArray[np.float64] = 0.5 * (1.0 + np.cos(np.pi * share))
    return found


def find_anions(env: HopEnvironment) -> NDArray[np.bool_]:
    """Say which atoms are anions: by charge where it is known and not zero, else by what binds them.

    Without a charge, an atom of N, O, F, S, Cl, Se, Br, Te or I is an anion unless a more electronegative
    atom is bonded to it (the S of a sulfate is none).

    Parameters
    ----------
    env : HopEnvironment
        The environment; `charges` may hold NaN.

    Returns
    -------
    ndarray of shape (M,), bool
        True for anions.
    """
    unknown = ~(np.abs(env.charges) > 0.0)
    anions = np.where(unknown, False, env.charges < 0.0)
    table = element_table()
    rows = np.flatnonzero(unknown & table.may_be_anion[env.numbers])
    if rows.size == 0:
        return anions
    electronegativity = table.electronegativity[env.numbers]
    radii = table.covalent_radius_ang[env.numbers]
    near = cdist(env.coords_ang[rows], env.coords_ang) < BOND_FACTOR * (radii[rows, None] + radii[None, :])
    anions[rows] = ~(near & (electronegativity[None, :] > electronegativity[rows, None])).any(axis=1)
    return anions
