"""Training and judging a barrier model: a data set's hops described, then learned from or predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.labelled import load_labelled
from flows.progress import reporter
from models.locate import find_checkpoint
from tasks.descriptors.assemble import INPUT_SPEC

if TYPE_CHECKING:
    from pathlib import Path

    from models.arrays import LabelledArrays
    from models.predictor import Predictions
    from models.settings import TrainSettings

PUBLISHED = "published"
TRAINED_ON = (
    "devi2025, the authors' 559 training hops (arXiv 2508.06459, 2508.06436; MIT licence); "
    "their 60 test hops were not used"
)


def train(
    settings: TrainSettings,
    output: Path,
    *,
    dataset: str = "devi2025",
    name: str = PUBLISHED,
    data_dir: str | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Train on the published training split and write a checkpoint folder.

    Returns
    -------
    dict
        Where it is, its digest, what it was trained on, and its figures on held-out hosts.
    """
    from models.recipe import train_checkpoint

    arrays = load_labelled(dataset, "train", data_dir=data_dir, workers=workers)
    total = settings.calibration_folds * settings.calibration_members + settings.members
    reporter().stage("training networks", total)
    checkpoint = train_checkpoint(
        arrays,
        settings,
        name=name,
        trained_on=TRAINED_ON,
        on_fit=lambda _purpose, _done, _total: reporter().advance("training networks", 1),
    )
    checkpoint.save(output)
    return {
        "path": str(output),
        "name": name,
        "model_digest": checkpoint.digest,
        "trained_on": TRAINED_ON,
        "n_training_hops": len(arrays),
        "metrics": checkpoint.metrics,
    }


@dataclass(frozen=True)
class Judgement:
    """A checkpoint beside the truth of a split that it has not seen.

    Parameters
    ----------
    figures : dict
        Metrics, baselines and what they are of, in plain types.
    test : LabelledArrays
        The rows of the split.
    predictions : Predictions
        In the same order.
    """

    figures: dict[str, Any]
    test: LabelledArrays
    predictions: Predictions


def evaluate(
    *,
    model: str = PUBLISHED,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
    keep: bool = False,
) -> dict[str, Any]:
    """Judge a checkpoint as `judge` does, and return the figures alone."""
    return judge(model=model, dataset=dataset, data_dir=data_dir, workers=workers, keep=keep).figures


def judge(
    *,
    model: str = PUBLISHED,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
    keep: bool = False,
) -> Judgement:
    """Judge a checkpoint on the published test split, which it must not have seen.

    Parameters
    ----------
    model : str
        Name of a shipped checkpoint, or a folder.
    dataset : str
        Name of the data set.
    data_dir : str, optional
        Folder that holds the data set's folder.
    workers : int
        Processes that describe hops.
    keep : bool
        Whether to write the figures into the checkpoint's card.

    Raises
    ------
    SeenRowsError
        When the checkpoint was trained on a row that it is to be judged on.
    """
    from models.checkpoints import load
    from models.evaluation import evaluate_arrays

    folder = find_checkpoint(model)
    checkpoint = load(folder, expected=INPUT_SPEC)
    test = load_labelled(dataset, "test", data_dir=data_dir, workers=workers)
    checkpoint.refuse_seen(test.ids)
    training = load_labelled(dataset, "train", data_dir=data_dir, workers=workers)
    predictions = checkpoint.predict(test.inputs)
    found = evaluate_arrays(
        test,
        predictions,
        dataset=dataset,
        split=PUBLISHED,
        model_digest=checkpoint.digest,
        training=training,
    )
    if keep:
        figures = {
            key: value for key, value in found.items() if key not in {"dataset", "split", "model_digest"}
        }
        checkpoint.with_metrics(f"{dataset}, {PUBLISHED} test split", figures).save(folder)
    return Judgement(found, test, predictions)
