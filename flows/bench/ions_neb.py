"""The peer of relaxed paths: the calculator of the package `ions`, driven by ASE's NEB, one hop at a time.

Energies are the peer's own throughout. Its forces are not the gradient of its energies in version 0.5.1:
each pair's force is multiplied by the vector to the neighbour instead of by the unit vector along it, so that
it is too large by the distance in Å. A path that has no force left by these lies beside the true one. So they
can be had both ways, as they stand and with each pair's force divided by the distance.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.bench.measure import MissingPeerError
from tasks.hops.bvse_table import ION_CHARGES, MORSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tasks.hops.neb import NebSettings
    from tasks.hops.path import HopEnvironment

CUTOFF_ANG = 10.0
"""Its own default."""

REMEDY = "pip install ions, or make install"


@dataclass(frozen=True)
class PeerPath:
    """What ASE and ions made of one chain of images.

    Parameters
    ----------
    positions_ang : ndarray of shape (P, 3)
        The images in Å, ends included.
    energies_ev : ndarray of shape (P,)
        Theirs in eV.
    converged : bool
        Whether every force is below the tolerance.
    steps : int
        Steps of FIRE.
    """

    positions_ang: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    converged: bool
    steps: int

    @property
    def barrier_ev(self) -> float:
        """Highest image above the lower end, in eV."""
        return float(self.energies_ev.max() - min(self.energies_ev[0], self.energies_ev[-1]))


def load_peer() -> tuple[Any, Any]:
    """Return the peer's module of the calculator and its function that sets parameters.

    Raises
    ------
    MissingPeerError
        When it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # What it says on import is about its own use of others.
            warnings.simplefilter("ignore")
            from ions.calculators import bvse_calculator
            from ions.decorate import assign_bvse_params
    except ImportError as error:
        raise MissingPeerError(f"bench paths: ions is not installed ({error}); {REMEDY}") from error
    return bvse_calculator, assign_bvse_params


@contextmanager
def true_forces() -> Iterator[None]:
    """Divide each pair's force by its distance in the peer, for a while."""
    module, _ = load_peer()
    published = module.BVFF

    class Divided(published):  # type: ignore[misc, valid-type]
        """The peer's terms, with forces that go with a vector whose length is the distance."""

        @staticmethod
        def Morse_pairwise_force(alpha: Any, d0: Any, r_min: Any, rij: Any) -> Any:  # noqa: ANN401, N802 - theirs
            return published.Morse_pairwise_force(alpha, d0, r_min, rij) / rij

        @staticmethod
        def Coulomb_pairwise_force(q1: Any, q2: Any, rij: Any, *rest: Any) -> Any:  # noqa: ANN401, N802 - theirs
            return published.Coulomb_pairwise_force(q1, q2, rij, *rest) / rij

    module.BVFF = Divided
    try:
        yield
    finally:
        module.BVFF = published


def cluster(env: HopEnvironment, *, cutoff_ang: float = CUTOFF_ANG, neighbours_given: bool = False) -> Any:  # noqa: ANN401 - ase has no types
    """Return the host of a hop as atoms with the peer's calculator; atom 0 is the ion, at its first site.

    Parameters
    ----------
    env : HopEnvironment
        The hop.
    cutoff_ang : float
        Reach of the neighbour list in Å.
    neighbours_given : bool
        Whether every host atom is a neighbour from the start; else the peer keeps a list, as is its default.

    Returns
    -------
    ase.Atoms
        Without periodicity, in a cell that spares the peer a message on stresses.
    """
    from ase import Atoms

    module, assign_bvse_params = load_peer()
    box = np.ptp(env.coords_ang, axis=0) + 2.0 * cutoff_ang
    atoms = Atoms(
        _symbols(env),
        positions=np.vstack([env.path_ang[:1], env.coords_ang]),
        cell=box,
        pbc=False,
    )
    atoms.set_array("oxi_states", _states(env, atoms.get_chemical_symbols()))
    assign_bvse_params(atoms, env.working_ion, ION_CHARGES[env.working_ion])
    atoms.calc = _calculator(module, len(atoms), cutoff_ang, neighbours_given=neighbours_given)
    return atoms


def relax(
    env: HopEnvironment,
    chain_ang: NDArray[np.float64],
    settings: NebSettings,
    *,
    neighbours_given: bool = False,
) -> PeerPath:
    """Relax a chain of images with fixed ends by ASE's NEB and FIRE.

    Parameters
    ----------
    env : HopEnvironment
        The hop.
    chain_ang : ndarray of shape (P, 3)
        Images to start from, in Å.
    settings : NebSettings
        Springs, tolerance, when to climb, and steps: the same as ours.
    neighbours_given : bool
        See `cluster`.

    Returns
    -------
    PeerPath
        The images when it stopped.
    """
    from ase.mep import NEB
    from ase.optimize import FIRE

    images = []
    for position in chain_ang:
        image = cluster(env, neighbours_given=neighbours_given)
        image.positions[0] = position
        images.append(image)
    neb = NEB(images, k=settings.spring_ev_ang2, method="improvedtangent")
    first = FIRE(neb, logfile=None)
    first.run(fmax=settings.climb_below_ev_ang, steps=settings.climb_from_step)
    neb.climb = True
    then = FIRE(neb, logfile=None)
    converged = then.run(fmax=settings.tolerance_ev_ang, steps=settings.max_steps)
    return PeerPath(
        positions_ang=np.array([image.positions[0] for image in images]),
        energies_ev=np.array([image.get_potential_energy() for image in images]),
        converged=bool(converged),
        steps=first.nsteps + then.nsteps,
    )


def _symbols(env: HopEnvironment) -> list[str]:
    """Return the symbols of the ion and its host."""
    from ase.data import chemical_symbols

    return [env.working_ion, *(chemical_symbols[z] for z in env.numbers.tolist())]


def _states(env: HopEnvironment, symbols: list[str]) -> NDArray[np.float64]:
    """Return charges as the peer's tables have them: those of anions are whole."""
    states = [float(ION_CHARGES[env.working_ion]), *env.charges.tolist()]
    return np.array(
        [
            MORSE[env.working_ion, symbol][0] if state < 0.0 else state
            for symbol, state in zip(symbols, states, strict=True)
        ]
    )


def _calculator(module: Any, n_atoms: int, cutoff_ang: float, *, neighbours_given: bool) -> Any:  # noqa: ANN401
    """Return a calculator of the peer's for one image."""
    if not neighbours_given:
        return module.BVSECalculator(sites=[0], rc=cutoff_ang)

    class Given(module.BVSECalculator):  # type: ignore[misc]
        """The peer's calculator with a neighbour list that it may not replace."""

        nl = property(lambda _: given, lambda _, __: None)

    given = _Everyone(n_atoms)
    return Given(sites=[0])


class _Everyone:
    """A neighbour list of atom 0 that holds all others."""

    def __init__(self, n_atoms: int) -> None:
        self._indices, self._offsets = np.arange(1, n_atoms), np.zeros((n_atoms - 1, 3))

    def update(self, atoms: object) -> None:
        """Do nothing: nobody leaves."""

    def get_neighbors(self, _index: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return all others, in the same cell."""
        return self._indices, self._offsets
