"""Predicting barriers of batches by a checkpoint that is found by its name, wherever they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.locate import find_checkpoint, read_digest
from tasks.descriptors.assemble import INPUT_SPEC
from tasks.workers import predict_batch

if TYPE_CHECKING:
    from flows.inference import PredictParameters


class OtherModelError(ValueError):
    """The checkpoint of that name here is not the one that was asked for."""


def predict_batches(asked: PredictParameters) -> int:
    """Predict barriers of batches and write their shards; return how many batches.

    Raises
    ------
    OtherModelError
        When the checkpoint of that name is another one here.
    CheckpointError
        When there is none.
    ShardError
        When descriptors of a batch cannot be trusted.
    """
    folder = find_checkpoint(asked.model)
    digest = read_digest(folder)
    if digest != asked.model_digest:
        raise OtherModelError(
            f"the model {asked.model!r} has the digest {digest[:12]} here and {asked.model_digest[:12]} "
            "where the screening runs; install the same lihop, or the same checkpoint, on both"
        )
    # Here, since what only reads digests need not wait for torch.
    from models.checkpoints import load

    checkpoint = load(folder, expected=INPUT_SPEC)
    for stem in asked.stems:
        predict_batch(stem, asked.folder, checkpoint)
    return len(asked.stems)
