"""The errors that the hops package raises: what was given, what is allowed, what to do."""

from __future__ import annotations


class HopsError(ValueError):
    """Base class of this package's errors."""


class InvalidHopError(HopsError):
    """A hop was asked for that the structure does not have."""


class NoWorkingIonError(HopsError):
    """The structure holds no site of the working ion."""


class TooManyHopsError(HopsError):
    """The network is larger than the caller's bound; it is refused whole, never cut short.

    Parameters
    ----------
    count : int
        Symmetry-distinct hops found.
    max_hops : int
        Hops allowed.
    cutoff_ang : float
        Longest hop that was looked for, in Å.
    """

    def __init__(self, count: int, max_hops: int, cutoff_ang: float) -> None:
        super().__init__(
            f"{count} symmetry-distinct hops within {cutoff_ang:.3f} Å, but at most {max_hops} are allowed: "
            "raise --max-hops or give a shorter cutoff."
        )
        self.count = count
        self.max_hops = max_hops
        self.cutoff_ang = cutoff_ang

    def __reduce__(self) -> tuple[type[TooManyHopsError], tuple[int, int, float]]:
        """Rebuild from the numbers, so that the error survives the way back from a worker process."""
        return (type(self), (self.count, self.max_hops, self.cutoff_ang))
