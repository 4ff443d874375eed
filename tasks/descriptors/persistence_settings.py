"""Settings of group `topology`: how wide clouds are, how far complexes grow, what is read off them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.descriptors.errors import DescriptorError

IonForm = Literal["none", "compact", "changes", "full"]
"""What is told of a cloud joined by the moving ion: nothing; how counts, total and greatest lengths and
curves change; how every figure changes; every figure itself."""

ION_FORMS: tuple[IonForm, ...] = ("none", "compact", "changes", "full")
FARTHEST_EDGE_ANG = 8.0
"""Environments are cut at this distance from the path."""

DIMENSIONS = (0, 1, 2)
FIRST_BIN_ANG = (1.0, 1.5, 2.5)
"""Where the curves of H0, H1 and H2 start: no ring or cage of a crystal is born earlier."""

BIN_ANG = 0.5


@dataclass(frozen=True)
class TopologySettings:
    """How persistent homology is taken. docs/topology-radii.md holds the measurements behind the defaults.

    Parameters
    ----------
    edge_window_ang : tuple of two floats
        Where a cloud's edge may fall, as the distance from the nearest path point.
    threshold_ang : float
        Longest edge of a complex; bars still open there end there.
    max_dimension : int
        Highest homology of the anion, cation and framework clouds, 0 to 2.
    ion : {"none", "compact", "changes", "full"}
        What is told of these clouds with the moving ion at the transition state.
    element_dimension : int or None
        Highest homology of the clouds of transition metals, of polyanion centres and of other working ions;
        None for no such clouds.

    Raises
    ------
    DescriptorError
        If a setting is out of its range.
    """

    edge_window_ang: tuple[float, float] = (3.5, 4.5)
    threshold_ang: float = 6.0
    max_dimension: int = 2
    ion: IonForm = "full"
    element_dimension: int | None = 1

    def __post_init__(self) -> None:
        low, high = self.edge_window_ang
        if not 0.0 < low < high < FARTHEST_EDGE_ANG:
            raise DescriptorError(
                f"edge_window_ang is {self.edge_window_ang}; it must rise and lie between 0 and "
                f"{FARTHEST_EDGE_ANG} Å, where environments are cut: choose a nearer window."
            )
        least = FIRST_BIN_ANG[-1] + BIN_ANG
        if not least <= self.threshold_ang < float("inf") or self.threshold_ang % BIN_ANG:
            raise DescriptorError(
                f"threshold_ang is {self.threshold_ang}; choose a multiple of {BIN_ANG} Å from {least} up."
            )
        if self.max_dimension not in DIMENSIONS:
            raise DescriptorError(f"max_dimension is {self.max_dimension}; choose 0, 1 or 2.")
        if self.element_dimension not in {None, *DIMENSIONS}:
            raise DescriptorError(f"element_dimension is {self.element_dimension}; choose None, 0, 1 or 2.")
        if self.ion not in ION_FORMS:
            raise DescriptorError(f"ion is {self.ion!r}; choose one of {', '.join(ION_FORMS)}.")

    def bins_ang(self, dimension: int) -> tuple[float, ...]:
        """Return the edges in Å of the bins of the curves of one dimension.

        Parameters
        ----------
        dimension : int
            0, 1 or 2.

        Returns
        -------
        tuple of float
            Half an Å apart, the last the threshold.
        """
        first = FIRST_BIN_ANG[dimension]
        count = round((self.threshold_ang - first) / BIN_ANG)
        return tuple(first + BIN_ANG * k for k in range(count + 1))


DEFAULT = TopologySettings()
"""What the group is computed with."""
