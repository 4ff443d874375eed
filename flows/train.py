"""Training a barrier model: labelled hops described, learned from, and kept so that it can be cut off."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.checkpoint_folder import refuse_loss
from flows.known_tests import known_tests
from flows.labelled import load_labelled_many, names_of
from flows.progress import reporter
from models.errors import UnfinishedError
from tasks.datasets.registry import require
from tasks.descriptors.assemble import INPUT_SPEC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.checkpoints import Checkpoint
    from models.settings import TrainSettings
    from models.unfinished import Unfinished

PUBLISHED = "published"
PRODUCTION = "production"
Rows = Literal["train", "all"]
NAMES: dict[Rows, str] = {"train": PUBLISHED, "all": PRODUCTION}
NETWORKS = "training networks"
EPOCHS = "epochs of this network"
NO_FIGURE = "Hops of the test splits are among them, so that no figure on these is claimed."


def train(
    settings: TrainSettings,
    output: Path,
    *,
    datasets: Sequence[str] = ("devi2025",),
    rows: Rows = "train",
    name: str | None = None,
    data_dir: str | None = None,
    workers: int = 2,
    accelerator: str = "auto",
    logs: Path | None = None,
    fresh: bool = False,
    fresh_if_changed: bool = False,
) -> dict[str, Any]:
    """Train on labelled hops and write a checkpoint folder.

    While it trains, a folder beside it, ``OUTPUT.unfinished``, holds the described hops and each network that
    is fitted. Killed at any time, the same call goes on from there, and ends with the same digest.

    Parameters
    ----------
    settings : TrainSettings
        How to train and calibrate.
    output : Path
        The checkpoint's folder; what was there is replaced when the training stands.
    datasets : sequence of str
        Names of data sets; a hop that stands in two of them is refused.
    rows : {"train", "all"}
        Which of their hops: those published for training, or the test hops too, after which no figure on
        these can be claimed.
    name : str, optional
        What the checkpoint is called: ``published`` or ``production``, by the rows, unless told otherwise.
    data_dir : str, optional
        Folder that holds the data sets' folders.
    workers : int
        Processes that describe.
    accelerator : str
        ``auto``, ``cpu`` or ``cuda``; the last two do not end with the same digest.
    logs : Path, optional
        Folder for a log of each network, as CSV and for TensorBoard; no logs unless it is given.
    fresh : bool
        Whether to begin anew rather than go on.
    fresh_if_changed : bool
        Whether to begin anew, with a message, rather than refuse what was begun otherwise.

    Returns
    -------
    dict
        Where it is, its digest, what it was trained on, its figures on held-out hosts, where the logs are,
        and ``resumed_fits``, how many networks were there already.

    Raises
    ------
    UnfinishedError
        When the training to go on with was begun otherwise.
    InputError
        When something else than a checkpoint stands at ``output``, or that folder is in use.
    AcceleratorError
        When there is no such device.
    DatasetError
        When there is no such data set, or its files are not what they should be.
    """
    from models.fit_logs import clear_logs
    from models.lightning import resolve_accelerator
    from models.recipe import train_checkpoint
    from models.training import Keeping
    from models.unfinished import unfinished

    # Before minutes of describing hops.
    refuse_loss(output)
    device = resolve_accelerator(accelerator)
    called = NAMES[rows] if name is None else name
    names = names_of(datasets)
    data = {name: _data_digest(name, data_dir) for name in names}
    asked = {"dataset": list(names), "data": data, **_asked(settings, rows, device)}
    with unfinished(unfinished_folder(output), asked, fresh=fresh) as cut_off:
        if _goes_on(cut_off, or_anew=fresh_if_changed):
            reporter().message(f"Going on with {cut_off.folder}: {len(cut_off.store)} networks stand.")
        elif logs is not None:
            clear_logs(logs)
        found_fits = len(cut_off.store)
        arrays, trained_on = cut_off.rows(
            lambda: load_labelled_many(names, rows, data_dir=data_dir, workers=workers)
        )
        if rows == "all":
            trained_on = f"{trained_on} {NO_FIGURE}"
        total = settings.calibration_folds * settings.calibration_members + settings.members
        reporter().stage(NETWORKS, total)
        checkpoint = train_checkpoint(
            arrays,
            settings,
            name=called,
            trained_on=trained_on,
            accelerator=device,
            on_fit=_report_fit,
            keep=Keeping(store=cut_off.store, logs=logs, on_epoch=_report_epoch),
        )
        checkpoint = _with_known_tests(checkpoint, names, rows, data_dir)
        refuse_loss(output)  # hours have passed
        checkpoint.save(output)
        cut_off.finish()
    return {
        "path": str(output),
        "name": checkpoint.name,
        "model_digest": checkpoint.digest,
        "rows": rows,
        "trained_on": checkpoint.trained_on,
        "n_training_hops": len(arrays),
        "metrics": checkpoint.metrics,
        "accelerator": device,
        "logs": None if logs is None else str(logs),
        "resumed_fits": found_fits,
    }


def _goes_on(cut_off: Unfinished, *, or_anew: bool) -> bool:
    """Take up an unfinished training; return whether there was one to go on with."""
    try:
        return cut_off.resume()
    except UnfinishedError as error:
        if not or_anew:
            raise
        reporter().warning(f"Begins anew: {error}")
        cut_off.clear()
        return False


def _with_known_tests(
    checkpoint: Checkpoint, names: Sequence[str], rows: Rows, data_dir: str | None
) -> Checkpoint:
    """Count test hops that were learned under other ids as seen, so that they are refused as a test."""
    from models.arrays import id_digest

    pairs = known_tests(names, rows, data_dir)
    seen = {id_digest(f"{name}:{record.hop_id}") for _, (name, record) in pairs}
    return (
        replace(checkpoint, training_id_digests=checkpoint.training_id_digests | seen) if seen else checkpoint
    )


def unfinished_folder(output: Path) -> Path:
    """Return the folder beside a checkpoint's where its training is kept until it is finished."""
    return _beside(output, "unfinished")


def logs_folder(output: Path) -> Path:
    """Return the folder beside a checkpoint's where its logs are; the checkpoint's own is replaced whole."""
    return _beside(output, "logs")


def _beside(output: Path, what: str) -> Path:
    whole = output.resolve()
    return output.parent / f"{whole.name}.{what}" if output.name else whole.parent / f"{whole.name}.{what}"


def _report_fit(purpose: str, done: int, total: int) -> None:
    del purpose, done, total  # all networks are counted by one bar
    reporter().advance(NETWORKS, 1)


def _report_epoch(label: str, done: int, total: int) -> None:
    del label  # the networks are counted by a bar of their own
    if done == 1:
        reporter().stage(EPOCHS, total)
    reporter().advance(EPOCHS, 1)


def _asked(settings: TrainSettings, rows: str, device: str) -> dict[str, Any]:
    """Return everything that decides what a training produces, apart from the data."""
    import torch

    from models.recipe import code_version

    return {
        "settings": settings.model_dump(mode="json"),
        "rows": rows,
        "descriptors": INPUT_SPEC.versions(),
        "accelerator": device,
        "code": f"lihop {code_version()}, sources {_sources_digest()[:12]}",
        "torch": torch.__version__,
    }


def _data_digest(name: str, data_dir: str | None) -> str:
    """Return a digest of a data set's files, by which a changed one is told without describing it."""
    folder = require(name, data_dir)
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\n".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _sources_digest() -> str:
    """Return a digest of the code that describes and learns: a version stays while it is worked on."""
    import models
    import tasks

    digest = hashlib.sha256()
    for package in (models, tasks):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            digest.update(f"{file.relative_to(root.parent)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
