"""How long to wait before a server is asked again: longer each time, and never all clients at once."""

from __future__ import annotations

import random


def pause_s(attempt: int, first_s: float, longest_s: float) -> float:
    """Return a pause, drawn at random, after a failed attempt.

    The longest that it may be doubles with each attempt, and the shortest is half of that: clients that a
    server turned away together do not come back together.

    Parameters
    ----------
    attempt : int
        Which attempt failed, the first being 1.
    first_s : float
        Longest pause after the first, in seconds.
    longest_s : float
        Longest pause after any, in seconds.
    """
    return min(first_s * 2.0 ** (attempt - 1), longest_s) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
