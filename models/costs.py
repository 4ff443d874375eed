"""What predictors cost: numbers that they hold, and hops that they predict a second in one thread."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.baselines import AFFINE_BVSE, EXTRA_TREES, MEDIAN, ask_trees, fit_baseline_trees
from models.ensemble import Ensemble
from models.lightning import reproducible
from models.networks import build_network
from models.standardise import fit_standardiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.arrays import Inputs, LabelledArrays
    from models.checkpoints import Checkpoint
    from models.settings import TrainSettings

HOPS_TIMED = 4096
TIMES = 3


def checkpoint_cost(checkpoint: Checkpoint, rows: LabelledArrays) -> dict[str, Any]:
    """Return what a checkpoint costs, intervals and domain distances included.

    Parameters
    ----------
    checkpoint : Checkpoint
        Which.
    rows : LabelledArrays
        Hops to predict, over and over.
    """
    parameters = n_weights(checkpoint.ensemble)
    held = f"weights of {len(checkpoint.ensemble.members)} networks"
    if checkpoint.ensemble.trees is not None:
        parameters += checkpoint.ensemble.trees.n_nodes
        held += f", nodes of {len(checkpoint.ensemble.trees)} trees"
    return {
        "parameters": parameters,
        "parameters_of": held,
        "hops_per_second": hops_per_second(checkpoint.predict, rows.inputs),
    }


def network_cost(settings: TrainSettings, members: int, rows: LabelledArrays) -> dict[str, Any]:
    """Return what an ensemble of networks of these settings costs; untrained ones cost the same.

    Parameters
    ----------
    settings : TrainSettings
        The kind of network.
    members : int
        How many.
    rows : LabelledArrays
        Hops whose descriptors say how large the networks are.
    """
    taken = rows.only(settings.groups)
    standardiser = fit_standardiser(taken, settings.clip)
    with reproducible(settings.seed):
        sizes = standardiser.sizes(taken.spec)
        networks = tuple(build_network(sizes, settings).eval() for _ in range(members))
    ensemble = Ensemble(networks, standardiser, taken.spec, settings)
    return {
        "parameters": n_weights(ensemble),
        "parameters_of": f"weights of {members} networks",
        "hops_per_second": hops_per_second(ensemble.member_log_barriers, taken.inputs),
    }


def baseline_cost(name: str, settings: TrainSettings, rows: LabelledArrays) -> dict[str, Any]:
    """Return what a baseline costs; a line or a constant takes no time to speak of, so that is null."""
    if name != EXTRA_TREES:
        held = {AFFINE_BVSE: (3, "slope, intercept, median"), MEDIAN: (1, "median")}[name]
        return {"parameters": held[0], "parameters_of": held[1], "hops_per_second": None}
    taken = rows.only(settings.groups)
    standardiser, trees = fit_baseline_trees(taken, seed=settings.seed)

    return {
        "parameters": trees.n_nodes,
        "parameters_of": f"nodes of {len(trees)} trees",
        "hops_per_second": hops_per_second(partial(ask_trees, standardiser, trees), taken.inputs),
    }


def n_weights(ensemble: Ensemble) -> int:
    """Return how many weights the members of an ensemble hold together."""
    return sum(weight.numel() for member in ensemble.members for weight in member.parameters())


def hops_per_second(predict: Callable[[Inputs], object], inputs: Inputs) -> float:
    """Return how many hops are predicted a second in one thread, the best of a few runs after a first.

    Parameters
    ----------
    predict : callable
        Takes one array a descriptor group.
    inputs : mapping of str to ndarray
        Some hops; they are repeated until there are enough to time.
    """
    count = len(next(iter(inputs.values())))
    index = np.resize(np.arange(count), HOPS_TIMED)
    many = {name: array[index] for name, array in inputs.items()}
    threads = torch.get_num_threads()
    best = float("inf")
    try:
        torch.set_num_threads(1)
        predict({name: array[:count] for name, array in many.items()})
        for _ in range(TIMES):
            started = time.perf_counter()
            predict(many)
            best = min(best, time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return HOPS_TIMED / best
