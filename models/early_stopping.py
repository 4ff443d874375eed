"""Early stopping: whole hosts held out of one network's training rows, and the weights of its best epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping

from models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytorch_lightning as pl
    from numpy.typing import NDArray
    from torch import Tensor, nn

VALIDATION_LOSS = "validation_loss"


def validation_rows(hosts: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole hosts at random until they hold the given share of the rows.

    Parameters
    ----------
    hosts : sequence of str
        The host of each row.
    share : float
        Least share of the rows to hold out; one host more than that is never taken, and one is always left.
    seed : int
        Decides which.

    Returns
    -------
    ndarray of bool
        Whether each row is held out, ``(n,)``.

    Raises
    ------
    InputError
        If there are fewer than two hosts.
    """
    names, index, counts = np.unique(np.asarray(hosts), return_inverse=True, return_counts=True)
    if len(names) < 2:  # noqa: PLR2004 - one to learn from, one to watch
        raise InputError(
            f"early stopping holds whole hosts out and needs two or more, there are {len(names)} in the "
            "training rows; train without patience"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    enough = int(np.searchsorted(np.cumsum(counts[order]), share * len(index))) + 1
    chosen = np.zeros(len(names), dtype=np.bool_)
    chosen[order[: min(enough, len(names) - 1)]] = True
    return chosen[index]


class BestWeights(Callback):
    """Keeps the weights of the epoch with the least validation loss, in memory."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.least = float("inf")
        self.state: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy the weights if they are the best so far."""
        del pl_module
        loss = float(trainer.callback_metrics[VALIDATION_LOSS])
        if loss < self.least:
            self.least = loss
            self.state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def restore(self) -> None:
        """Put the best weights back; without a finite loss the last ones stay."""
        if self.state is not None:
            with torch.no_grad():
                self.network.load_state_dict(self.state)


def stop_early(network: nn.Module, patience: int) -> tuple[EarlyStopping, BestWeights]:
    """Return what stops a fit when the validation loss has not fallen for so many epochs."""
    return EarlyStopping(VALIDATION_LOSS, mode="min", patience=patience), BestWeights(network)
