"""Ablation: how accurate a predictor is with each descriptor group alone, each left out, and all together.

Folds hold out whole hosts, every set of groups is judged on the same folds, and intervals come from drawing
whole hosts, because the hops of one host are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.arrays import host_folds
from models.baselines import predict_trees
from models.bootstrap import host_draws, interval_over_hosts
from models.crossval import FOLD_SEED_STRIDE, predict_fold
from models.ensemble import log_mean_and_spread
from models.errors import InputError
from models.evaluation import barrier_metrics
from models.fold_settings import FoldSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings
    from models.specs import GroupName

TREES_NAME = "extra_trees"

Groups = tuple["GroupName", ...]
What = Literal["all", "alone", "left_out"]
Subject = tuple[str, Groups]


@dataclass(frozen=True)
class AblationSettings(FoldSettings):
    """How an ablation is measured.

    ``repeats`` is how often all of it is done, each time with other folds and other seeds; errors are
    averaged. ``seed`` decides the trees too.
    """

    members: int = 2


@dataclass(frozen=True)
class AblationJob:
    """One predictor on some groups, fitted without one fold and asked about it: what one process does.

    Attributes
    ----------
    rows : LabelledArrays
        All rows, with all groups.
    predictor : str
        Name of a network, or ``extra_trees``.
    groups : tuple of str
        The groups that the predictor is given.
    repeat, fold : int
        Which of the repeats, and which fold of it.
    train : TrainSettings
        How networks are trained, but for the groups.
    settings : AblationSettings
        How the ablation is measured.
    """

    rows: LabelledArrays
    predictor: str
    groups: Groups
    repeat: int
    fold: int
    train: TrainSettings
    settings: AblationSettings


@dataclass(frozen=True)
class FoldBarriers:
    """What came of a job.

    Attributes
    ----------
    predictor : str
        As in the job, and so are ``groups`` and ``repeat``.
    held_out : ndarray
        Numbers of the rows of the fold, ``(k,)``.
    barrier_ev : ndarray
        Their predicted barriers, ``(k,)``.
    """

    predictor: str
    groups: Groups
    repeat: int
    held_out: NDArray[np.int64]
    barrier_ev: NDArray[np.float64]


def group_sets(names: Sequence[GroupName]) -> list[tuple[What, Groups]]:
    """Return which groups each row of the table is given: all, each alone, each left out.

    One group has nothing to be compared with: then all of them is the only row.
    """
    every = tuple(names)
    found: list[tuple[What, Groups]] = [("all", every)]
    if len(every) == 1:
        return found
    found += [("alone", (name,)) for name in every]
    found += [("left_out", tuple(other for other in every if other != name)) for name in every]
    return found


def ablation_jobs(
    rows: LabelledArrays, train: TrainSettings, settings: AblationSettings
) -> list[AblationJob]:
    """Return everything that is to be fitted, in an order that does not matter to the result.

    Parameters
    ----------
    rows : LabelledArrays
        Training rows only; nothing else is looked at.
    train : TrainSettings
        The kind of network; its ``groups`` are not looked at, and its ``seed`` starts the networks'.
    settings : AblationSettings
        How the ablation is measured.

    Raises
    ------
    InputError
        If there are fewer hosts than folds.
    """
    # Said before the first fit, and not by a process in the middle.
    fold_of_each_row(rows.hosts, settings, repeat=0)
    # With two groups, one alone is the other left out: fitted once, shown twice.
    distinct = dict.fromkeys(groups for _, groups in group_sets(rows.spec.names()))
    return [
        AblationJob(rows, predictor, groups, repeat, fold, train, settings)
        for predictor in (train.arch, TREES_NAME)
        for groups in distinct
        for repeat in range(settings.repeats)
        for fold in range(settings.n_folds)
    ]


def fold_of_each_row(hosts: Sequence[str], settings: AblationSettings, *, repeat: int) -> NDArray[np.int64]:
    """Return the fold of each row in one of the repeats; no host is split."""
    return host_folds(hosts, settings.n_folds, settings.seed + repeat)


def run_job(job: AblationJob) -> FoldBarriers:
    """Fit one predictor without one fold and predict the barriers of that fold."""
    folds = fold_of_each_row(job.rows.hosts, job.settings, repeat=job.repeat)
    rows = job.rows.only(job.groups)
    if job.predictor == TREES_NAME:
        held_out = np.flatnonzero(folds == job.fold)
        training = rows.take(np.flatnonzero(folds != job.fold))
        barrier_ev = predict_trees(training, rows.take(held_out).inputs, seed=job.settings.seed + job.repeat)
    else:
        # Each fold takes a stride of seeds; a repeat takes all of its folds' strides, and shares none.
        seed = job.train.seed + job.repeat * FOLD_SEED_STRIDE * (job.settings.n_folds + 1)
        # Trees are judged by themselves in the same table.
        train = job.train.networks_alone().model_copy(update={"groups": job.groups, "seed": seed})
        held_out, members = predict_fold(rows, train, folds, job.fold, job.settings.members)
        barrier_ev = np.exp(log_mean_and_spread(members)[0])
    return FoldBarriers(job.predictor, job.groups, job.repeat, held_out, barrier_ev)


def ablate(rows: LabelledArrays, train: TrainSettings, settings: AblationSettings) -> list[dict[str, Any]]:
    """Fit everything in this process and return the table, as ``ablation_table`` does."""
    jobs = ablation_jobs(rows, train, settings)
    return ablation_table(rows, train, settings, map(run_job, jobs))


def ablation_table(
    rows: LabelledArrays, train: TrainSettings, settings: AblationSettings, found: Iterable[FoldBarriers]
) -> list[dict[str, Any]]:
    """Return one row a predictor and set of groups from the results of ``ablation_jobs``, in any order.

    Returns
    -------
    list of dict
        ``predictor``; ``groups``, those that it was given; ``what``, one of ``all``, ``alone``, ``left_out``;
        ``mae_ev`` with its interval ``mae_ci_ev``; ``mae_below_3ev`` and ``spearman``, null where not
        defined; ``delta_mae_ev``, its MAE less that of the same predictor with all groups, with its
        interval ``delta_ci_ev``. Above zero, all groups are better.

    Raises
    ------
    InputError
        If a result is missing.
    """
    barriers = _by_subject(len(rows), settings, found)
    counts = host_draws(rows.hosts, settings.seed)
    sets = group_sets(rows.spec.names())
    wanted = [(predictor, *entry) for predictor in (train.arch, TREES_NAME) for entry in sets]
    absent = [
        (predictor, groups)
        for predictor, _, groups in wanted
        if (predictor, groups) not in barriers or np.isnan(barriers[predictor, groups]).any()
    ]
    if absent:
        raise InputError(f"no complete results for {absent}; give those of every job")
    table = []
    for predictor, what, groups in wanted:
        error = _mean_error(rows.barrier_ev, barriers[predictor, groups])
        delta = error - _mean_error(rows.barrier_ev, barriers[predictor, sets[0][1]])
        table.append({
            "predictor": predictor,
            "groups": list(groups),
            "what": what,
            "mae_ev": float(error.mean()),
            "mae_ci_ev": interval_over_hosts(error, rows.hosts, counts),
            **_mean_metrics(rows.barrier_ev, barriers[predictor, groups]),
            "delta_mae_ev": float(delta.mean()),
            "delta_ci_ev": interval_over_hosts(delta, rows.hosts, counts),
        })  # fmt: skip
    return table


def _by_subject(
    n_rows: int, settings: AblationSettings, found: Iterable[FoldBarriers]
) -> Mapping[Subject, NDArray[np.float64]]:
    """Return barriers by predictor and groups, ``(repeats, n_rows)``; NaN where no result was given."""
    barriers: dict[Subject, NDArray[np.float64]] = {}
    for part in found:
        subject = (part.predictor, part.groups)
        held = barriers.setdefault(subject, np.full((settings.repeats, n_rows), np.nan))
        held[part.repeat, part.held_out] = part.barrier_ev
    return barriers


def _mean_error(truth_ev: NDArray[np.float64], barriers_ev: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.abs(barriers_ev - truth_ev).mean(axis=0))


def _mean_metrics(truth_ev: NDArray[np.float64], barriers_ev: NDArray[np.float64]) -> dict[str, float | None]:
    metrics = [barrier_metrics(truth_ev, repeat) for repeat in barriers_ev]
    found: dict[str, float | None] = {}
    for key in ("mae_below_3ev", "spearman"):
        values = [row[key] for row in metrics]
        known = [float(value) for value in values if value is not None]
        found[key] = float(np.mean(known)) if len(known) == len(values) else None
    return found
