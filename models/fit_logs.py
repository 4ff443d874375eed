"""What a fit writes down as it goes: one row an epoch, as CSV and for TensorBoard."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Protocol

from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from models.early_stopping import VALIDATION_LOSS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytorch_lightning as pl
    from torch import Tensor

    from models.data import Batch

TRAINING_LOSS = "training_loss"
LEARNING_RATE = "learning_rate"
_LABEL = re.compile(r"member-\d+|calibration-fold-\d+-\d+")
_OURS = ("metrics.csv", "hparams.yaml", "events.out.tfevents.*")


class OnEpoch(Protocol):
    """Called after each pass over the training rows, with the network's label and how far its fit is."""

    def __call__(self, label: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` epochs are over."""


def clear_logs(folder: Path) -> None:
    """Remove the logs of an earlier training, whose networks may be others; other files stay."""
    for log in folder.glob("*/metrics.csv"):
        if _LABEL.fullmatch(log.parent.name):
            _clear(log.parent)
            with contextlib.suppress(OSError):  # it holds something else
                log.parent.rmdir()


def _clear(own: Path) -> None:
    for pattern in _OURS:
        for left in own.glob(pattern):
            left.unlink()


def open_loggers(folder: Path, label: str, settings: Mapping[str, Any]) -> list[Logger]:
    """Return loggers that write to ``folder/label``, where a fit that was cut off may have left half a log.

    Parameters
    ----------
    folder : Path
        Where the logs of all networks are.
    label : str
        The network's own folder.
    settings : mapping
        Written beside the log.
    """
    _clear(folder / label)
    # In this order: the CSV logger warns of a folder in which there is something.
    loggers = [
        CSVLogger(folder, name="", version=label),
        TensorBoardLogger(folder, name="", version=label, default_hp_metric=False),
    ]
    for logger in loggers:
        logger.log_hyperparams(dict(settings))
    return loggers


class EpochLog(Callback):
    """Writes a row an epoch to the loggers, and tells how far the fit is.

    Lightning's own ``log`` would write training and validation losses as rows of their own, and costs more.
    """

    def __init__(self, label: str, loggers: list[Logger], on_epoch: OnEpoch | None) -> None:
        self.label = label
        self.loggers = loggers
        self.on_epoch = on_epoch
        self._loss: Tensor | None = None
        self._hops = 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - what Lightning hands over
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add up the loss; it stays on its device, where nothing has to wait for it."""
        del trainer, pl_module, batch_idx
        hops = len(next(iter(batch.values())))
        loss = outputs["loss"].detach() * hops
        self._loss = loss if self._loss is None else self._loss + loss
        self._hops += hops

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        del pl_module
        if self.loggers and self._loss is not None:
            epoch = trainer.current_epoch + 1
            row = {
                "epoch": epoch,
                TRAINING_LOSS: float(self._loss) / self._hops,
                LEARNING_RATE: float(trainer.optimizers[0].param_groups[0]["lr"]),
            }
            if VALIDATION_LOSS in trainer.callback_metrics:
                row[VALIDATION_LOSS] = float(trainer.callback_metrics[VALIDATION_LOSS])
            for logger in self.loggers:
                logger.log_metrics(row, step=epoch)
        self._loss, self._hops = None, 0
        if self.on_epoch is not None:
            self.on_epoch(self.label, trainer.current_epoch + 1, trainer.max_epochs or 0)

    def close(self) -> None:
        """Write out what is buffered."""
        for logger in self.loggers:
            logger.finalize("done")
