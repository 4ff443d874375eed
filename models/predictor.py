"""What every predictor of barriers offers, and what a prediction holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.arrays import Inputs
    from models.specs import InputSpec


@dataclass(frozen=True)
class Predictions:
    """Predicted barriers of n hops; nothing in it is ever NaN.

    Attributes
    ----------
    barrier_ev : ndarray
        exp of the members' mean log barrier, ``(n,)``.
    log_spread : ndarray
        Standard deviation of the log barrier over the members, ``(n,)``; 0 for a single member.
    member_barriers_ev : ndarray
        ``(n, members)``.
    lower_ev, upper_ev : ndarray
        Calibrated 90% interval, ``(n,)``.
    in_domain : ndarray
        Whether the descriptors lie inside the training domain, ``(n,)``.
    domain_distance : ndarray
        Distance to the training set over its threshold, ``(n,)``; 1 is the edge.
    """

    barrier_ev: NDArray[np.float64]
    log_spread: NDArray[np.float64]
    member_barriers_ev: NDArray[np.float64]
    lower_ev: NDArray[np.float64]
    upper_ev: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    domain_distance: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.barrier_ev)


@runtime_checkable
class Predictor(Protocol):
    """Anything that predicts barriers from descriptor groups.

    Predictions do not depend on which hops share a batch, nor on the direction in which a hop is given, and
    the inputs are left as they were.
    """

    @property
    def spec(self) -> InputSpec:
        """The descriptor groups it takes."""

    @property
    def digest(self) -> str:
        """A digest of everything that its predictions depend on."""

    def predict(self, inputs: Inputs) -> Predictions:
        """Predict the barriers of n hops, one array a group, ``(n, *shape)``, NaN where nothing exists.

        Descriptor groups that are not in ``spec`` are left aside.
        """
