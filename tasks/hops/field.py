"""The BVSE of many moving ions at once, in torch: energies and forces of a padded batch of rigid hosts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.hops.bvse import PairParameters

SMALLEST_SQUARE_ANG2 = 1e-4
"""Squared distance below which an atom counts as being this near: the repulsion is finite, if enormous."""

FAR_ANG = 1e3
"""Where padding stands: nowhere near anything."""


@dataclass(frozen=True)
class Host:
    """One rigid host, as arrays.

    Parameters
    ----------
    coords_ang : ndarray of shape (M, 3)
        Its atoms in Å, in any frame; best with the path round the origin.
    parameters : PairParameters
        What the moving ion's energy needs of each.
    """

    coords_ang: NDArray[np.float64]
    parameters: PairParameters

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.coords_ang)


class Field:
    """Energies and forces of the moving ions of a batch, each in a host of its own.

    Anions and cations are kept apart, so that neither term is worked out where it is zero.

    Parameters
    ----------
    hosts : sequence of Host
        One a hop.
    device : torch.device
        Where to compute. All is in double precision.
    """

    def __init__(self, hosts: Sequence[Host], device: torch.device) -> None:
        self._anions = _Padded(
            [(host, host.parameters.depth_ev > 0.0) for host in hosts],
            ("depth_ev", "alpha_per_ang", "r_min_ang"),
            device,
        )
        self._cations = _Padded(
            [(host, host.parameters.coulomb_ev_ang > 0.0) for host in hosts],
            ("coulomb_ev_ang", "screening_per_ang"),
            device,
        )

    def take(self, rows: Tensor) -> Field:
        """Return the field of some of the hops."""
        part = object.__new__(Field)
        part._anions, part._cations = self._anions.take(rows), self._cations.take(rows)
        return part

    def energy_and_force(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return energies and forces of ions in their hosts.

        Parameters
        ----------
        positions : Tensor of shape (B, P, 3)
            P positions a hop, in Å.

        Returns
        -------
        energies : Tensor of shape (B, P)
            In eV.
        forces : Tensor of shape (B, P, 3)
            In eV/Å.
        """
        r, inverse = self._anions.distances(positions)
        depth, alpha, r_min = (self._anions.values[:, k, None, :] for k in range(3))
        # In place where it can be: most of the time goes into moving these arrays through memory.
        growth = torch.sub(r_min, r, out=r).mul_(alpha).exp_()
        excess = growth - 1.0
        scale = growth.mul_(excess).mul_(inverse).mul_(depth * alpha)
        force = self._anions.pull(positions, scale)
        energy = (0.5 * depth * excess.square_().sub_(1.0)).sum(dim=2)
        r, inverse = self._cations.distances(positions)
        coulomb, screening = (self._cations.values[:, k, None, :] for k in range(2))
        reduced = r.mul_(screening)
        repulsion = torch.special.erfc(reduced).mul_(coulomb).mul_(inverse)
        gauss = reduced.square_().neg_().exp_().mul_(coulomb * screening * (2.0 / math.sqrt(math.pi)))
        energy = energy + repulsion.sum(dim=2)
        force = force + self._cations.pull(positions, gauss.add_(repulsion).mul_(inverse).mul_(inverse))
        return energy, force


class _Padded:
    """The atoms of one kind of every host, padded to the same number by atoms that do nothing."""

    def __init__(
        self,
        hosts: Sequence[tuple[Host, NDArray[np.bool_]]],
        names: tuple[str, ...],
        device: torch.device,
    ) -> None:
        most = max(1, *(int(mask.sum()) for _, mask in hosts))
        self.coords = torch.full((len(hosts), most, 3), FAR_ANG, dtype=torch.float64)
        self.values = torch.zeros((len(hosts), len(names), most), dtype=torch.float64)
        for row, (host, mask) in enumerate(hosts):
            n = int(mask.sum())
            self.coords[row, :n] = torch.from_numpy(host.coords_ang[mask])
            for k, name in enumerate(names):
                self.values[row, k, :n] = torch.from_numpy(getattr(host.parameters, name)[mask])
        self.coords = self.coords.to(device)
        self.values = self.values.to(device)
        self._squares = (self.coords**2).sum(dim=2)

    def take(self, rows: Tensor) -> _Padded:
        """Return the atoms of some hosts."""
        part = object.__new__(_Padded)
        part.coords, part.values = self.coords[rows], self.values[rows]
        part._squares = self._squares[rows]
        return part

    def distances(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances (B, P, M) and their inverses.

        The expanded square needs one matrix product instead of differences in three coordinates; near the
        origin, where paths are, it costs no more than the last three digits.
        """
        square = torch.baddbmm(self._squares[:, None, :], positions, self.coords.mT, alpha=-2.0)
        square += (positions**2).sum(dim=2)[:, :, None]
        inverse = torch.rsqrt(square.clamp_(min=SMALLEST_SQUARE_ANG2))
        return square * inverse, inverse

    def pull(self, positions: Tensor, scale: Tensor) -> Tensor:
        """Return the sum over atoms of scale times the vector from the atom to the ion."""
        return positions * scale.sum(dim=2)[:, :, None] - torch.bmm(scale, self.coords)
