"""The folds of devi2025 that hold out whole hosts, from a file of the package: all who quote them agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDS_FILE = Path(__file__).with_name("devi2025_grouped_folds.json")
RULE = (
    "whole hosts: hops whose host has the same reduced formula without the moving ion share a fold; hosts "
    "are shuffled by the seed, and each, largest first, goes to the smallest fold so far"
)


def read_folds(path: Path = FOLDS_FILE) -> dict[str, Any]:
    """Return the fold file: data set, rule, seed, and under ``folds`` the fold of each hop by its id.

    Raises
    ------
    DatasetError
        If the file is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        folds = found["folds"]
        found["folds"] = {str(identifier): int(fold) for identifier, fold in folds.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} is no fold file ({error}); make it again by `python -m flows.cli.folds`"
        ) from error
    return dict(found)


def fold_of_each(ids: Sequence[str], path: Path = FOLDS_FILE) -> list[int]:
    """Return the fold of each hop, in the order given.

    Parameters
    ----------
    ids : sequence of str
        Ids as `flows.labelled` gives them; they must be all of the data set.
    path : Path
        The fold file.

    Raises
    ------
    DatasetError
        If an id stands in no fold, or a hop of the folds is not among the ids.
    """
    folds: dict[str, int] = read_folds(path)["folds"]
    unknown = [identifier for identifier in ids if identifier not in folds]
    missing = sorted(set(folds) - set(ids))
    if unknown or missing:
        raise DatasetError(
            f"the folds of {path.name} are of other hops: {len(unknown)} at hand stand in no fold, e.g. "
            f"{unknown[:3]}, and {len(missing)} of them are not at hand, e.g. {missing[:3]}; give the whole "
            "data set as it was published"
        )
    return [folds[identifier] for identifier in ids]
