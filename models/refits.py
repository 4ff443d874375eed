"""Predictors refitted without a fold: what one process does, and how folds become one set of predictions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.baselines import BASELINES, EXTRA_TREES, can_predict, predict_baseline
from models.calibration import calibrate
from models.crossval import predict_fold
from models.domain import fit_domain
from models.ensemble import log_mean_and_spread
from models.errors import InputError
from models.predictor import Predictions
from models.standardise import fit_standardiser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings

AS_SHIPPED = -1
"""A fold of this number starts its networks from the settings' own seeds, as a checkpoint's members do."""

LEAST_FOLDS = 2


@dataclass(frozen=True)
class Refit:
    """One predictor, fitted without one fold and asked about it: what one process does.

    Attributes
    ----------
    name : str
        What the predictor is called.
    rows : LabelledArrays
        All rows, with all groups.
    fold_of_row : ndarray of int
        The fold of each row, ``(n,)``.
    fold : int
        The one that is held out.
    settings : TrainSettings
        How networks are trained; their groups are also what trees are given.
    members : int
        Networks in the fold's ensemble.
    baseline : bool
        Whether ``name`` is one of ``BASELINES`` instead of a network.
    """

    name: str
    rows: LabelledArrays
    fold_of_row: NDArray[np.int64]
    fold: int
    settings: TrainSettings
    members: int
    baseline: bool = False


@dataclass(frozen=True)
class Refitted:
    """What came of a refit.

    Attributes
    ----------
    name : str
        As in the refit.
    held_out : ndarray
        Numbers of the rows of the fold, ``(k,)``.
    member_log_barriers : ndarray
        Each member's log barrier of them, ``(k, members)``; a baseline is one member.
    domain_distance : ndarray
        Their distance to the rows of the other folds over its threshold, ``(k,)``; 1 is the edge.
    seconds : float
        To fit and predict, in one thread.
    """

    name: str
    held_out: NDArray[np.int64]
    member_log_barriers: NDArray[np.float64]
    domain_distance: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of all rows that were held out, each by a predictor that has not seen its fold.

    Attributes
    ----------
    member_log_barriers : ndarray
        ``(n, members)``; NaN for rows of no fold that was held out.
    domain_distance : ndarray
        ``(n,)``.
    seconds : float
        Of all fits together.
    """

    member_log_barriers: NDArray[np.float64]
    domain_distance: NDArray[np.float64]
    seconds: float

    @property
    def barrier_ev(self) -> NDArray[np.float64]:
        """The barriers, ``(n,)``."""
        return np.asarray(np.exp(self.member_log_barriers.mean(axis=1)))


def refits(
    name: str,
    rows: LabelledArrays,
    fold_of_row: NDArray[np.int64],
    settings: TrainSettings,
    *,
    members: int,
    held_out: Sequence[int] | None = None,
) -> list[Refit]:
    """Return what is to be fitted, a fold each; none for a baseline that the descriptors do not allow.

    Parameters
    ----------
    name : str
        One of ``BASELINES``, or any other name for a network of these settings.
    rows, fold_of_row, settings, members
        As in ``Refit``.
    held_out : sequence of int, optional
        The folds to hold out; all of them unless told otherwise.
    """
    baseline = name in BASELINES
    if baseline and not can_predict(name, rows):
        return []
    wanted = np.unique(fold_of_row).tolist() if held_out is None else held_out
    return [Refit(name, rows, fold_of_row, int(fold), settings, members, baseline) for fold in wanted]


def run_refit(refit: Refit) -> Refitted:
    """Fit a predictor without its fold and predict that."""
    started = time.perf_counter()
    if refit.baseline:
        held_out, members = _baseline(refit)
    else:
        held_out, members = predict_fold(
            refit.rows, refit.settings, refit.fold_of_row, refit.fold, refit.members
        )
    seconds = time.perf_counter() - started
    return Refitted(refit.name, held_out, members, _domain_distance(refit, held_out), seconds)


def assemble(n_rows: int, found: Iterable[Refitted]) -> dict[str, OutOfFold]:
    """Put folds together, predictor by predictor, in whatever order they come.

    Parameters
    ----------
    n_rows : int
        Rows that were given.
    found : iterable of Refitted
        Of one or several predictors.
    """
    members: dict[str, NDArray[np.float64]] = {}
    distances: dict[str, NDArray[np.float64]] = {}
    seconds: dict[str, list[float]] = {}
    for part in found:
        width = part.member_log_barriers.shape[1]
        members.setdefault(part.name, np.full((n_rows, width), np.nan))[part.held_out] = (
            part.member_log_barriers
        )
        distances.setdefault(part.name, np.full(n_rows, np.nan))[part.held_out] = part.domain_distance
        seconds.setdefault(part.name, []).append(part.seconds)
    return {name: OutOfFold(members[name], distances[name], sum(seconds[name])) for name in members}


def nested_predictions(rows: LabelledArrays, found: OutOfFold, fold_of_row: NDArray[np.int64]) -> Predictions:
    """Make predictions with intervals of rows held out, each fold calibrated on the other folds alone.

    No label of a fold enters the residuals that decide its interval. Those are out-of-fold too, of predictors
    of the same size, as in a checkpoint's own calibration; but these predictors were fitted on rows of this
    fold among others. To be rid of that would take as many fits again for every fold.

    Raises
    ------
    InputError
        If a row was not predicted, or there is no other fold to calibrate on.
    """
    members = found.member_log_barriers
    if not np.isfinite(members).all():
        raise InputError("some rows have no prediction; give the results of every fold")
    folds = np.unique(fold_of_row)
    if len(folds) < LEAST_FOLDS:
        raise InputError("intervals of a fold come from other folds, and there is one fold; give two or more")
    mean, spread = log_mean_and_spread(members)
    lower, upper = np.zeros(len(mean)), np.zeros(len(mean))
    for fold in folds:
        inside, outside = fold_of_row == fold, np.flatnonzero(fold_of_row != fold)
        hosts = [rows.hosts[k] for k in outside]
        calibration = calibrate(rows.log_barrier()[outside], members[outside], hosts)
        lower[inside], upper[inside] = calibration.interval_ev(mean[inside], spread[inside])
    return Predictions(
        barrier_ev=np.exp(mean),
        log_spread=spread,
        member_barriers_ev=np.exp(members),
        lower_ev=lower,
        upper_ev=upper,
        in_domain=found.domain_distance <= 1.0,
        domain_distance=found.domain_distance,
    )


def _baseline(refit: Refit) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Fit a baseline; trees are given the groups that the network is given, the affine map its own key."""
    held_out = np.flatnonzero(refit.fold_of_row == refit.fold)
    rows = refit.rows.only(refit.settings.groups) if refit.name == EXTRA_TREES else refit.rows
    training = rows.take(np.flatnonzero(refit.fold_of_row != refit.fold))
    found = predict_baseline(refit.name, training, rows.take(held_out), seed=refit.settings.seed)
    return held_out, np.log(found)[:, None]


def _domain_distance(refit: Refit, held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far the rows of the fold lie from the others, by the domain that a checkpoint would fit."""
    rows = refit.rows.only(refit.settings.groups)
    training = rows.take(np.flatnonzero(refit.fold_of_row != refit.fold))
    standardiser = fit_standardiser(training, refit.settings.clip)
    domain = fit_domain(standardiser.z_scores(training.inputs), training.hosts, refit.settings.neighbours)
    return domain.distance(standardiser.z_scores(rows.take(held_out).inputs))


def network_alone(settings: TrainSettings, arch: str) -> TrainSettings:
    """Return the settings that train another network alike, without trees."""
    return settings.networks_alone().model_copy(update={"arch": arch})
