"""Predictors beside a checkpoint on the same hops: refitted alike, or read from what others published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.refitting import run_refits
from tasks.datasets import devi2025
from tasks.datasets.devi2025_peers import PeerBarriers, read_peers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.checkpoints import Checkpoint
    from models.refits import OutOfFold, Refit
    from models.settings import TrainSettings

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Contest:
    """What predictors are fitted on and judged by.

    Parameters
    ----------
    rows : LabelledArrays
        All rows.
    fold_of_row : ndarray of int
        The fold of each row.
    held_out : tuple of int
        Folds that are judged, each by predictors that were fitted without it.
    settings : TrainSettings
        The recipe.
    members : int
        Networks in each fold's ensemble.
    """

    rows: LabelledArrays
    fold_of_row: NDArray[np.int64]
    held_out: tuple[int, ...]
    settings: TrainSettings
    members: int

    @property
    def judged(self) -> NDArray[np.int64]:
        """Numbers of the rows that are judged."""
        return np.flatnonzero(np.isin(self.fold_of_row, self.held_out))

    @property
    def fitted_on(self) -> str:
        """What each fit learns from, in words."""
        sizes = [len(self.rows) - int((self.fold_of_row == fold).sum()) for fold in self.held_out]
        if len(sizes) == 1:
            return f"{sizes[0]} hops"
        return f"{len(sizes)} folds, {min(sizes)} to {max(sizes)} hops each"


def run_contest(contest: Contest, *, recipe: bool, networks: bool, workers: int) -> dict[str, OutOfFold]:
    """Refit the baselines and more, and return predictions of all rows, NaN for rows that are not judged.

    Parameters
    ----------
    contest : Contest
        Rows, folds and recipe.
    recipe : bool
        Whether to refit the recipe too, as `CHECKPOINT`.
    networks : bool
        Whether to refit every kind of network too, alike.
    workers : int
        Processes that fit. Baselines alone take seconds and are fitted in this one.
    """
    from models.baselines import BASELINES
    from models.networks import NETWORKS
    from models.refits import assemble, network_alone, run_refit

    named: dict[str, TrainSettings] = {CHECKPOINT: contest.settings} if recipe else {}
    alike: list[str] = []
    for name in NETWORKS if networks else ():
        alone = network_alone(contest.settings, name)
        if recipe and alone == contest.settings:
            alike.append(name)
        else:
            named[name] = alone
    fits = [job for name, settings in named.items() for job in _refits(contest, name, settings)]
    simple = [job for name in BASELINES for job in _refits(contest, name, contest.settings)]
    if not fits:
        return assemble(len(contest.rows), map(run_refit, simple))
    found = run_refits([*fits, *simple], workers)
    # The recipe is that network and nothing else: fitted again it would give the same.
    found.update((name, found[CHECKPOINT]) for name in alike)
    return found


def _refits(contest: Contest, name: str, settings: TrainSettings) -> list[Refit]:
    from models.refits import refits

    return refits(
        name,
        contest.rows,
        contest.fold_of_row,
        settings,
        members=contest.members,
        held_out=contest.held_out,
    )


def peers_of(ids: Sequence[str], data_dir: str | None) -> list[PeerBarriers]:
    """Return what others predict of these hops; hops of other data sets have no peers."""
    if not any(identifier.startswith(f"{devi2025.NAME}:") for identifier in ids):
        return []
    return read_peers(devi2025.find_data_dir(None if data_dir is None else Path(data_dir)))


def peer_values(peer: PeerBarriers, ids: Sequence[str]) -> NDArray[np.float64]:
    """Return a peer's barriers in the order of the ids, NaN where it has none."""
    return np.array([peer.barrier_ev.get(identifier, np.nan) for identifier in ids])


def comparison(
    contest: Contest,
    checkpoint: Checkpoint,
    own_ev: NDArray[np.float64],
    found: Mapping[str, OutOfFold],
    peers: Sequence[PeerBarriers],
) -> list[dict[str, Any]]:
    """Return the table of all predictors, as `models.comparison.comparison_rows` describes it.

    Parameters
    ----------
    contest : Contest
        Rows, folds and recipe.
    checkpoint : Checkpoint
        What others are compared with: itself, or its recipe where that is among what was refitted.
    own_ev : ndarray
        Its barriers of the judged rows.
    found : mapping of str to OutOfFold
        What was refitted.
    peers : sequence of PeerBarriers
        What others published.
    """
    from models.baselines import BASELINES
    from models.comparison import Contestant, comparison_rows
    from models.networks import NETWORKS
    from models.refits import network_alone

    judged = contest.rows.take(contest.judged)
    refitted = [name for name in (*NETWORKS, *BASELINES) if name in found]
    own = found.get(CHECKPOINT)
    if own is None and network_alone(contest.settings, contest.settings.arch) == contest.settings:
        own = found.get(contest.settings.arch)
    contestants = [Contestant(CHECKPOINT, own_ev, _own_facts(contest, checkpoint, judged, own))]
    for name in refitted:
        values = found[name].barrier_ev[contest.judged]
        contestants.append(Contestant(name, values, _facts(contest, name, found[name])))
    for peer in peers:
        facts = {**_NOTHING_KNOWN, "note": peer.note}
        contestants.append(Contestant(peer.name, peer_values(peer, judged.ids), facts))
    return comparison_rows(judged, contestants, CHECKPOINT)


_NOTHING_KNOWN: dict[str, Any] = {
    "parameters": None,
    "parameters_of": None,
    "training_seconds": None,
    "training_seconds_of": None,
    "hops_per_second": None,
    "note": None,
}


def _own_facts(
    contest: Contest, checkpoint: Checkpoint, judged: LabelledArrays, refit: OutOfFold | None
) -> dict[str, Any]:
    """Return what a checkpoint costs; how long it took to train is what its recipe takes here."""
    from models.costs import checkpoint_cost

    facts = {**_NOTHING_KNOWN, **checkpoint_cost(checkpoint, judged)}
    if refit is not None:
        facts["training_seconds"] = refit.seconds
        facts["training_seconds_of"] = (
            f"its recipe without calibration, {contest.members} networks, one thread, {contest.fitted_on}"
        )
    return facts


def _facts(contest: Contest, name: str, found: OutOfFold) -> dict[str, Any]:
    """Return what a refitted predictor costs."""
    from models.baselines import BASELINES
    from models.costs import baseline_cost, network_cost
    from models.refits import network_alone

    if name in BASELINES:
        cost = baseline_cost(name, contest.settings, contest.rows)
        of = f"one thread, {contest.fitted_on}"
    else:
        cost = network_cost(network_alone(contest.settings, name), contest.members, contest.rows)
        of = f"{contest.members} networks, one thread, {contest.fitted_on}"
    return {**_NOTHING_KNOWN, **cost, "training_seconds": found.seconds, "training_seconds_of": of}
