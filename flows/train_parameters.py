"""What a training is asked to do: the flow's parameters, which are also the form in the Prefect UI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.settings import TrainSettings


class TrainParameters(BaseModel):
    """Parameters of `train-barrier-model`; bad values are refused before a run exists."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Train barrier model")

    datasets: tuple[str, ...] = Field(
        default=("devi2025",),
        min_length=1,
        title="Data sets",
        description="Labelled hops to learn from. A hop that stands in two of them is refused.",
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
    settings: TrainSettings = Field(
        default=TrainSettings(), title="Settings", description="How networks and trees learn."
    )
