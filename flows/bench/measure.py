"""Timing by turns: every call is warmed up, the sides alternate, and medians are compared."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.limits import TimeLimitError, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

R = TypeVar("R")

OURS = "lihop"
SLOW_S = 1.0
"""A peer that takes longer than this is run once: what it costs is known well enough by then."""


class BenchError(ValueError):
    """A bench was asked for something that it does not have; says what it has."""


class MissingPeerError(BenchError):
    """A peer that is compared with is not installed; says how to get it."""


@dataclass(frozen=True)
class BenchSettings:
    """How much is measured.

    Parameters
    ----------
    limit : int or None
        Most structures; None for as many as the bench finds right.
    repeats : int
        Timed rounds after the warm-up.
    scale : float
        Size of generated data, 1 being modest.
    model : str
        Name of a shipped checkpoint, or a folder.
    """

    limit: int | None = None
    repeats: int = 3
    scale: float = 1.0
    model: str = "production"


@dataclass(frozen=True)
class Timing:
    """Median seconds of one side, and what it returned; both None when it ran out of time.

    Parameters
    ----------
    seconds : float or None
        Median of its rounds.
    result : object
        What its last call returned.
    rounds : tuple of float
        Seconds of each round, in their order; those of a slow peer are its warm-up alone.
    """

    seconds: float | None
    result: Any
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """One thing that every side did.

    Parameters
    ----------
    name : str
        What it was.
    work : float
        How much it was, in what the unit counts: hops, rows, one structure.
    seconds : dict of str to float or None
        Median time of each side, `OURS` among them; None for a peer that ran out of time.
    counts_equal : bool
        Whether all sides that finished found the same number of things.
    """

    name: str
    work: float
    seconds: dict[str, float | None]
    counts_equal: bool


@dataclass(frozen=True)
class Unit:
    """A unit of speed: a time a piece of work (``ms/hop``) or a rate (``hops/s``)."""

    label: str

    def of(self, seconds: float, work: float) -> float:
        """Return a time and the work done in it, in this unit."""
        if self.label.endswith("/s"):
            return work / seconds
        return seconds / work * (1000.0 if self.label.startswith("ms") else 1.0)


@dataclass(frozen=True)
class PeerResult:
    """One peer: its median, how many times as long as ours it takes, and in how many cases it finished."""

    median: float | None
    ratio: float | None
    cases: int


@dataclass(frozen=True)
class BenchResult:
    """What a bench found; the fields, in order, are its JSON.

    Parameters
    ----------
    name : str
        The bench.
    cases : int
        How many things were measured.
    ours_median : float
        Median over the cases, in `unit`.
    peers : dict of str to PeerResult
        Beside whom. `ratio` is the median over the cases of the peer's time over ours; above 1 we are faster.
    unit : str
        Unit of the medians.
    counts_equal : bool
        Whether all sides found the same number of things in every case.
    details : dict
        Further figures.
    notes : tuple of str
        What was left out, and what the figures hold.
    """

    name: str
    cases: int
    ours_median: float
    peers: dict[str, PeerResult]
    unit: str
    counts_equal: bool
    details: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self)


def alternate(
    calls: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    limit_s: float | None = None,
    slow_s: float | None = SLOW_S,
    warm_up: Mapping[str, Callable[[], object]] | None = None,
    on_timed: Callable[[str, float], None] | None = None,
) -> dict[str, Timing]:
    """Time calls by turns.

    Each is called once to warm up. Then they are called in rounds whose order turns about, so that neither a
    side that goes first nor a machine that slows down favours anyone.

    Parameters
    ----------
    calls : mapping of str to callable
        One side each.
    repeats : int
        Rounds, at least 1.
    limit_s : float, optional
        A peer that takes longer to warm up is stopped.
    slow_s : float, optional
        A peer that takes longer to warm up is not called again; that time counts. None: all are.
    warm_up : mapping of str to callable, optional
        What to call in their place to warm up, where a whole call would only take longer.
    on_timed : callable, optional
        Is told the side and its seconds after each timed call, where people wait for long.

    Returns
    -------
    dict of str to Timing
        Median time of each side and what its last call returned.
    """
    if repeats < 1:
        raise BenchError(f"{repeats} rounds were asked for; at least 1 is needed")
    times: dict[str, list[float]] = {}
    results: dict[str, object] = {}
    for name, call in (calls if warm_up is None else warm_up).items():
        try:
            with time_limit(None if name == OURS else limit_s):
                seconds, results[name] = timed(call)
        except TimeLimitError:
            continue
        slow = slow_s is not None and seconds > slow_s and name != OURS
        times[name] = [seconds] if slow else []
    running = [name for name in calls if name in times and not times[name]]
    for turn in range(repeats):
        for name in running if turn % 2 == 0 else reversed(running):
            seconds, results[name] = timed(calls[name])
            times[name].append(seconds)
            if on_timed is not None:
                on_timed(name, seconds)
    return {
        name: Timing(median(times[name]), results[name], tuple(times[name]))
        if name in times
        else Timing(None, None)
        for name in calls
    }


def timed(call: Callable[[], R]) -> tuple[float, R]:
    """Return how many seconds a call took, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def summarise(
    name: str,
    cases: Sequence[Case],
    unit: Unit,
    *,
    details: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> BenchResult:
    """Sum up the cases of a bench.

    Raises
    ------
    BenchError
        When there is no case.
    """
    if not cases:
        raise BenchError(f"bench {name}: there is nothing to measure; raise --limit")
    ours = [unit.of(_ours(case), case.work) for case in cases]
    peers = {peer: _peer(peer, cases, unit) for peer in cases[0].seconds if peer != OURS}
    return BenchResult(
        name=name,
        cases=len(cases),
        ours_median=median(ours),
        peers=peers,
        unit=unit.label,
        counts_equal=all(case.counts_equal for case in cases),
        details=dict(details or {}),
        notes=tuple(notes),
    )


def _ours(case: Case) -> float:
    seconds = case.seconds[OURS]
    if seconds is None:
        raise BenchError(f"{case.name}: no time of lihop's own; only peers may run out of time")
    return seconds


def _peer(peer: str, cases: Sequence[Case], unit: Unit) -> PeerResult:
    """Sum up one peer, over the cases that it finished."""
    found = [(case, seconds) for case in cases if (seconds := case.seconds[peer]) is not None]
    if not found:
        return PeerResult(median=None, ratio=None, cases=0)
    return PeerResult(
        median=median(unit.of(seconds, case.work) for case, seconds in found),
        ratio=median(seconds / _ours(case) for case, seconds in found),
        cases=len(found),
    )
