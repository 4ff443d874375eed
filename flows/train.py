"""Training a barrier model: a data set's hops described, then learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.labelled import load_labelled
from flows.progress import reporter

if TYPE_CHECKING:
    from pathlib import Path

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
