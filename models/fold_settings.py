"""How a study over folds of whole hosts is set up: what ablation and importance have in common."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import InputError

LEAST_FOLDS = 2


@dataclass(frozen=True)
class FoldSettings:
    """Folds, networks a fold, and how often.

    Attributes
    ----------
    n_folds : int
        Folds of whole hosts, at least 2.
    members : int
        Networks in each fold's ensemble.
    repeats : int
        How often what is measured is measured; what that is, the study says.
    seed : int
        Decides folds and bootstrap; networks start from the training settings' own seed.
    """

    n_folds: int = 5
    members: int = 1
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_folds < LEAST_FOLDS or self.members < 1 or self.repeats < 1:
            raise InputError(
                f"got {self.n_folds} folds, {self.members} members and {self.repeats} repeats; give at least "
                f"{LEAST_FOLDS} folds, 1 member and 1 repeat"
            )
