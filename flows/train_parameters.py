"""What a training is asked to do: the flow's parameters, which are also the form in the Prefect UI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.settings import TrainSettings
from tasks.datasets.registry import OWN_PREFIX, PUBLISHED, is_own


class TrainParameters(BaseModel):
    """Parameters of `train-barrier-model`; bad values are refused before a run exists."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Train barrier model")

    datasets: tuple[str, ...] = Field(
        default=("devi2025",),
        min_length=1,
        title="Data sets",
        description="Labelled hops to learn from. A hop that stands in two of them is refused.",
    )
    own: bool = Field(
        default=False,
        title="Own data sets",
        description="Learn from every data set that was added to the data folder, too.",
    )
    rows: Literal["train", "all"] = Field(
        default="train",
        title="Rows",
        description="The training split, or all hops; then no figure on the test split is claimed.",
    )
    output: str = Field(
        default="runs/checkpoint",
        min_length=1,
        title="Output",
        description="Folder of the checkpoint; what was there is replaced when the training stands.",
    )
    name: str | None = Field(
        default=None,
        title="Name",
        description="What the checkpoint is called. Left out: published, or production for all rows.",
    )
    data_dir: str | None = Field(
        default=None,
        title="Data folder",
        description="Folder that holds the data sets' folders. Left out: LIHOP_DATA_DIR, or data.",
    )
    workers: int = Field(
        default=2, ge=1, le=256, title="Workers", description="Processes that describe hops."
    )
    training: Literal["pool", "here"] = Field(
        default="pool",
        title="Training",
        description="Train in the GPU pool of the Prefect server; in the process of this run where there is "
        "no server or no worker of that pool is alive. Or always here.",
    )
    accelerator: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        title="Accelerator",
        description="Where to train. The CPU and CUDA do not end with the same digest.",
    )
    logs: bool = Field(
        default=True, title="Logs", description="Write a log of each network, CSV and TensorBoard."
    )
    fresh: bool = Field(
        default=False,
        title="Begin anew",
        description="Begin anew, whatever an unfinished training left in its folder.",
    )
    fresh_if_changed: bool = Field(
        default=False,
        title="Begin anew if changed",
        description="Begin anew where an unfinished training was begun with other data, settings or code, "
        "rather than refuse to go on with it.",
    )
    settings: TrainSettings = Field(
        default=TrainSettings(), title="Settings", description="How networks and trees learn."
    )

    @field_validator("datasets")
    @classmethod
    def _known(cls, datasets: tuple[str, ...]) -> tuple[str, ...]:
        for name in datasets:
            # Whether it is there only the machine that trains can tell.
            if name not in PUBLISHED and not (is_own(name) and name != OWN_PREFIX):
                raise ValueError(
                    f"{name!r} is no data set: there are {', '.join(PUBLISHED)}, and {OWN_PREFIX}NAME of "
                    "your own"
                )
        if len(set(datasets)) < len(datasets):
            raise ValueError("give each data set once")
        return datasets
