"""Why one hop gets the barrier that it gets: what each descriptor moves the prediction by.

Each descriptor, family and group in turn is set to the mean of the training hops, and the prediction is made
again. What it differs by is what that descriptor's being as it is adds to the barrier (occlusion: Zeiler and
Fergus, arXiv 1311.2901). Changes are those of the model, not of nature, and do not add up: descriptors share
what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.arrays import check_inputs
from models.errors import InputError
from models.perturbation import PerturbedEnsemble, subjects_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.arrays import Inputs
    from models.checkpoints import Checkpoint
    from models.perturbation import Subject
    from models.specs import GroupName

KINDS = {"group": 0, "family": 1, "key": 2}


def explain(
    checkpoint: Checkpoint, inputs: Inputs, families: Mapping[str, Mapping[GroupName, Sequence[str]]]
) -> dict[str, Any]:
    """Predict one hop and say what moves the prediction.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    inputs : mapping of str to ndarray
        One hop, one array a group, ``(1, *shape)``.
    families : mapping
        Name of each family to its keys by group.

    Returns
    -------
    dict
        ``barrier_ev``, ``lower_ev``, ``upper_ev``, ``log_spread``, ``in_domain``, ``domain_distance``, and
        ``rows``, the greatest change first within groups, families and keys: ``what``, ``name``, ``groups``,
        ``n_keys``, ``without_ev`` (the barrier with the subject at the mean) and ``change_ev`` (the barrier
        less that). A key also has its ``value`` (of a channel the least along the path), null where it does
        not exist, and ``percentile``, the share of the training values below it in percent.

    Raises
    ------
    InputError
        If it is not one hop.
    """
    arrays = check_inputs(inputs, checkpoint.spec)
    n_hops = len(next(iter(arrays.values())))
    if n_hops != 1:
        raise InputError(f"got {n_hops} hops, one is explained at a time; give arrays of one row")
    predicted = checkpoint.predict_plain(arrays)
    asked = PerturbedEnsemble(checkpoint.ensemble, arrays)
    barrier_ev = float(np.exp(asked.log_barriers.mean()))
    percentiles = checkpoint.ensemble.standardiser.percentiles(arrays)
    rows = []
    for subject in subjects_of(checkpoint.spec, families):
        without_ev = float(np.exp(asked.occluded(subject).mean()))
        row = {
            "what": subject.what,
            "name": subject.name,
            "groups": list(subject.keys),
            "n_keys": subject.n_keys,
            "without_ev": without_ev,
            "change_ev": barrier_ev - without_ev,
        }
        rows.append(row | (_value(subject, arrays, percentiles) if subject.what == "key" else {}))
    return {
        "barrier_ev": float(predicted.barrier_ev[0]),
        "lower_ev": float(predicted.lower_ev[0]),
        "upper_ev": float(predicted.upper_ev[0]),
        "log_spread": float(predicted.log_spread[0]),
        "in_domain": bool(predicted.in_domain[0]),
        "domain_distance": float(predicted.domain_distance[0]),
        "rows": sorted(rows, key=lambda row: (KINDS[row["what"]], -abs(row["change_ev"]), row["name"])),
    }


def _value(subject: Subject, arrays: Inputs, percentiles: Mapping[str, Any]) -> dict[str, float | None]:
    """Return a key's value and where it lies among those of the training rows."""
    ((name, (place,)),) = subject.keys.items()
    value = np.atleast_1d(arrays[name][0, place]).astype(np.float64)
    if np.isnan(value).all():
        return {"value": None, "percentile": None}
    least = int(np.nanargmin(value))
    share = np.atleast_1d(percentiles[name][0, place])
    return {"value": float(value[least]), "percentile": float(share[least])}
