"""Permutation importance: how much worse hops of hosts held out are predicted when a descriptor is shuffled.

In each fold of whole hosts an ensemble is refitted without it. Then one descriptor, a family of descriptors
that say nearly the same, or a whole group changes places among the rows of the fold. What the mean absolute
error rises by is its importance (Breiman 2001, 10.1023/A:1010933404324). A descriptor whose like remains may
rise little although the two together carry the barrier: hence the families.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from models.arrays import host_folds
from models.bootstrap import host_draws, interval_over_hosts
from models.crossval import FOLD_SEED_STRIDE
from models.errors import InputError
from models.fold_settings import FoldSettings
from models.perturbation import PerturbedEnsemble, Subject, subjects_of
from models.training import train_ensemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings
    from models.specs import GroupName

    FamilyKeys = Mapping[str, Mapping[GroupName, Sequence[str]]]

LEAST_ROWS = 3  # of fewer values ranks say nothing


@dataclass(frozen=True)
class ImportanceSettings(FoldSettings):
    """How importances are measured.

    ``repeats`` is how many permutations each descriptor gets in each fold, at least 2 for a spread. ``seed``
    decides the permutations too.
    """

    repeats: int = 3


@dataclass(frozen=True)
class ImportanceJob:
    """One fold: what one process does.

    Attributes
    ----------
    rows : LabelledArrays
        Training rows only; nothing else is looked at.
    fold : int
        The fold that is held out.
    train : TrainSettings
        How the network is trained, and on which groups.
    settings : ImportanceSettings
        How importances are measured.
    families : mapping
        Name of each family to its keys by group.
    """

    rows: LabelledArrays
    fold: int
    train: TrainSettings
    settings: ImportanceSettings
    families: FamilyKeys


@dataclass(frozen=True)
class FoldRises:
    """What came of a job.

    Attributes
    ----------
    held_out : ndarray
        Numbers of the rows of the fold, ``(k,)``.
    error_ev : ndarray
        Their absolute errors, ``(k,)``.
    rise_ev : ndarray
        By how much each error rises, ``(subjects, repeats, k)``, subjects in the order of ``subjects_of``.
    """

    held_out: NDArray[np.int64]
    error_ev: NDArray[np.float64]
    rise_ev: NDArray[np.float64]


def importance_jobs(
    rows: LabelledArrays, train: TrainSettings, settings: ImportanceSettings, families: FamilyKeys
) -> list[ImportanceJob]:
    """Return what is to be done, a job a fold.

    Raises
    ------
    InputError
        If there are fewer hosts than folds, or a group is not there.
    """
    host_folds(rows.hosts, settings.n_folds, settings.seed)
    some = rows.only(train.groups)
    return [ImportanceJob(some, fold, train, settings, families) for fold in range(settings.n_folds)]


def run_job(job: ImportanceJob) -> FoldRises:
    """Refit without one fold, and permute every subject among the rows of that fold."""
    folds = host_folds(job.rows.hosts, job.settings.n_folds, job.settings.seed)
    held_out = np.flatnonzero(folds == job.fold)
    first = job.train.seed + FOLD_SEED_STRIDE * (job.fold + 1)
    seeds = range(first, first + job.settings.members)
    ensemble = train_ensemble(job.rows.take(np.flatnonzero(folds != job.fold)), job.train, seeds)
    test = job.rows.take(held_out)
    asked = PerturbedEnsemble(ensemble, test.inputs)
    error_ev = np.abs(np.exp(asked.log_barriers.mean(axis=1)) - test.barrier_ev)
    # The same permutations for all subjects: what differs between two is not the luck of the draw.
    rng = np.random.default_rng([job.settings.seed, job.fold])
    orders = np.stack([rng.permutation(len(held_out)) for _ in range(job.settings.repeats)])
    rises = []
    for subject in subjects_of(job.rows.spec, job.families):
        permuted_ev = np.exp(asked.permuted(subject, orders).mean(axis=-1))
        rises.append(np.abs(permuted_ev - test.barrier_ev) - error_ev)
    return FoldRises(held_out, error_ev, np.stack(rises))


def importance_table(
    rows: LabelledArrays,
    train: TrainSettings,
    settings: ImportanceSettings,
    families: FamilyKeys,
    found: Iterable[FoldRises],
) -> dict[str, Any]:
    """Return the error of the refitted ensembles and what each subject adds to it.

    Returns
    -------
    dict
        ``mae_ev`` with its interval ``mae_ci_ev``, and ``rows``, the greatest rise first within groups,
        families and keys: ``what``, ``name``, ``groups``, ``n_keys``, ``rise_ev`` with its interval
        ``rise_ci_ev`` (whole hosts drawn) and ``repeat_std_ev`` (over the permutations; null for one),
        ``spearman`` of the barrier with the key, or with that of the subject's keys which correlates most,
        ``strongest_key``.

    Raises
    ------
    InputError
        If a fold is missing.
    """
    some = rows.only(train.groups)
    subjects = subjects_of(some.spec, families)
    error_ev = np.full(len(some), np.nan)
    rise_ev = np.full((len(subjects), settings.repeats, len(some)), np.nan)
    for part in found:
        error_ev[part.held_out] = part.error_ev
        rise_ev[:, :, part.held_out] = part.rise_ev
    if np.isnan(error_ev).any():
        raise InputError("results of a fold are missing; give those of every job")
    counts = host_draws(some.hosts, settings.seed)
    correlations = univariate(some)
    table = [
        _row(subject, rises, some, counts, correlations)
        for subject, rises in zip(subjects, rise_ev, strict=True)
    ]
    order = {"group": 0, "family": 1, "key": 2}
    return {
        "mae_ev": float(error_ev.mean()),
        "mae_ci_ev": interval_over_hosts(error_ev, some.hosts, counts),
        "rows": sorted(table, key=lambda row: (order[row["what"]], -row["rise_ev"], row["name"])),
    }


def importances(
    rows: LabelledArrays, train: TrainSettings, settings: ImportanceSettings, families: FamilyKeys
) -> dict[str, Any]:
    """Do everything in this process, as ``importance_table`` returns it."""
    jobs = importance_jobs(rows, train, settings, families)
    return importance_table(rows, train, settings, families, map(run_job, jobs))


def univariate(rows: LabelledArrays) -> dict[str, NDArray[np.float64]]:
    """Return the rank correlation of every key with the barrier, by group; a channel by its least value.

    Missing values are left out. A key that is constant, or hardly ever there, has none, which is NaN.
    """
    found = {}
    for group in rows.spec.groups:
        values = rows.inputs[group.name].astype(np.float64)
        if values.ndim > 2:  # noqa: PLR2004 - rows, channels, positions
            present = np.isfinite(values).any(axis=-1)
            lowest = np.where(np.isfinite(values), values, np.inf).min(axis=-1)
            values = np.where(present, lowest, np.nan)
        found[group.name] = np.array([_spearman(column, rows.barrier_ev) for column in values.T])
    return {str(name): column for name, column in found.items()}


def _spearman(values: NDArray[np.float64], barrier_ev: NDArray[np.float64]) -> float:
    present = np.isfinite(values)
    if present.sum() < LEAST_ROWS or np.ptp(values[present]) == 0 or np.ptp(barrier_ev[present]) == 0:
        return float("nan")
    return float(stats.spearmanr(values[present], barrier_ev[present]).statistic)


def _row(
    subject: Subject,
    rise_ev: NDArray[np.float64],
    rows: LabelledArrays,
    counts: NDArray[np.int64],
    correlations: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return a line of the table; `rise_ev` is ``(repeats, n)``."""
    keys = {group.name: group.keys for group in rows.spec.groups}
    known = [
        (float(correlations[name][place]), keys[name][place])
        for name, places in subject.keys.items()
        for place in places
        if np.isfinite(correlations[name][place])
    ]
    strongest = max(known, key=lambda entry: abs(entry[0]), default=(None, None))
    each = rise_ev.mean(axis=1)
    return {
        "what": subject.what,
        "name": subject.name,
        "groups": list(subject.keys),
        "n_keys": subject.n_keys,
        "rise_ev": float(each.mean()),
        "rise_ci_ev": interval_over_hosts(rise_ev.mean(axis=0), rows.hosts, counts),
        "repeat_std_ev": float(each.std(ddof=1)) if len(each) > 1 else None,
        "spearman": strongest[0],
        "strongest_key": strongest[1],
    }
