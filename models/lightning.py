"""The one place that builds a Lightning Trainer: quiet, deterministic, leaving no trace."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from models.errors import AcceleratorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytorch_lightning.callbacks import Callback

_CHATTY_LOGGERS = ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed")
# Batches come from tensors in memory: worker processes would only add cost.
_EXPECTED_WARNINGS = (
    r".*does not have many workers.*",
    # What a log leaves there of its own is removed before; other files are not touched.
    r".*Experiment logs directory .* exists and is not empty.*",
    # Lightning still asks torch in a way that torch deprecates.
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)


ACCELERATORS = ("auto", "cpu", "cuda")


def resolve_accelerator(name: str) -> str:
    """Return the device that training runs on, ``cpu`` or ``cuda``.

    Parameters
    ----------
    name : str
        One of ``ACCELERATORS``; ``auto`` takes CUDA where there is a device, and the CPU elsewhere.

    Raises
    ------
    AcceleratorError
        If there is no such accelerator, or no CUDA device.
    """
    if name not in ACCELERATORS:
        raise AcceleratorError(f"accelerator {name!r} is not known; allowed are {', '.join(ACCELERATORS)}")
    there_is_cuda = torch.cuda.is_available()
    if name == "cuda" and not there_is_cuda:
        raise AcceleratorError(
            "accelerator 'cuda' was asked for, and torch finds no CUDA device; install a build of torch for "
            "CUDA and its driver, or use cpu"
        )
    if name == "auto":
        return "cuda" if there_is_cuda else "cpu"
    return name


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's hints about hardware and workers out of the log and the warnings."""
    loggers = [logging.getLogger(name) for name in _CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt from the keyboard out as what it is.

    Lightning ends the process instead, and leaves it deaf to further ones.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from end
        raise


@contextlib.contextmanager
def reproducible(seed: int | None) -> Iterator[None]:
    """Run on one thread, deterministically, from a seed; then put back what torch was set to before.

    One thread because sums of floats depend on how they are split, and because these networks are too small
    for more to help. On CUDA without TF32, whose convolutions err by more than the CPU's.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.random.fork_rng(devices=devices), exact:
        try:
            torch.set_num_threads(1)
            if seed is not None:
                torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def make_trainer(
    *,
    accelerator: str = "auto",
    progress: bool = False,
    max_epochs: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> pl.Trainer:
    """Return a Trainer on one device that writes nothing to disk.

    Parameters
    ----------
    accelerator : str
        Lightning's name of the device: ``auto``, ``cpu`` or ``cuda``.
    progress : bool
        Whether to show Lightning's progress bar.
    max_epochs : int, optional
        Passes over the training rows.
    callbacks : sequence of Callback
        Called as a fit goes on.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        deterministic=True,
        # One process, also inside a Slurm allocation, which Lightning would take for its own.
        plugins=[LightningEnvironment()],
        max_epochs=max_epochs,
        callbacks=list(callbacks),
        # Validation is a part of training here, not a check that the code runs.
        num_sanity_val_steps=0,
    )
