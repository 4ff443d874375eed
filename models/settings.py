"""The settings of a training run, frozen, bounded and digested."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.specs import GROUP_NAMES, GroupName, NetworkName

LATER_FIELDS: dict[str, object] = {
    "patience": None,
    "validation_share": 0.1,
    "target_power": 0.0,
    "mixup": 0.0,
    "trees": 0,
    "tree_share": 0.5,
    "tree_band": 0.0,
    "fold_paths": False,
}
"""Settings that the first checkpoints lack, each with the value that means what training did without it.

A field added to ``TrainSettings`` needs an entry here, so that old checkpoints stay readable and keep their
digests.
"""


class TrainSettings(BaseModel):
    """Everything that decides what a training run produces, apart from its data.

    The defaults were chosen by cross-validation inside the training rows of devi2025; see
    ``docs/model-selection.md``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        # In the form of the UI, which would write every word with a capital letter.
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
    )

    arch: NetworkName = Field(default="cnn", description="kind of network")
    groups: tuple[GroupName, ...] = Field(
        default=("local", "profile", "chemistry"),
        min_length=1,
        description="descriptor groups that the network takes; all four predict no better",
    )
    members: int = Field(default=5, ge=1, le=64, description="networks in the ensemble")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the first member; others count up")
    epochs: int = Field(default=80, ge=1, le=5000, description="passes over the training rows")
    patience: int | None = Field(
        default=None, ge=1, le=5000, description="epochs without a better validation loss before a stop"
    )
    validation_share: float = Field(
        default=0.1, gt=0, le=0.5, description="share of the rows, whole hosts, that patience watches"
    )
    target_power: float = Field(
        default=0.25, ge=0, le=1, description="networks and trees learn barrier**power; 0 is its logarithm"
    )
    trees: int = Field(
        default=200, ge=0, le=10000, description="extremely randomised trees beside the networks; 0 is none"
    )
    tree_share: float = Field(
        default=0.5, gt=0, lt=1, description="weight of the trees' log barrier, if there are any"
    )
    tree_band: float = Field(
        default=0.02,
        ge=0,
        le=0.2,
        description="half-width in which a tree's step is a slope, in standard deviations",
    )
    batch_size: int = Field(default=64, ge=2, le=65536, description="hops a step")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="peak of the one-cycle schedule")
    weight_decay: float = Field(default=0.03, ge=0, le=10, description="L2 penalty, decoupled (AdamW)")
    dropout: float = Field(default=0.15, ge=0, lt=1, description="share of hidden values left out")
    input_noise: float = Field(default=0.1, ge=0, le=2, description="in standard deviations of each input")
    input_dropout: float = Field(default=0.2, ge=0, lt=1, description="share of the inputs left out, by key")
    robust_beta: float = Field(default=0.5, gt=0, le=10, description="where smooth-L1 turns linear")
    channels: int = Field(default=48, ge=1, le=1024, description="width of the image branches")
    blocks: int = Field(default=3, ge=0, le=64, description="residual blocks of an image branch")
    fold_paths: bool = Field(
        default=True, description="networks see each point of a path together with its mirror point"
    )
    hidden: int = Field(default=48, ge=1, le=4096, description="width of the vector branches")
    fused: int = Field(default=96, ge=1, le=4096, description="width of the fused head")
    mixup: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="shares of two mixed hops come from Beta(mixup, mixup); 0 mixes none",
    )
    clip: float = Field(default=5.0, gt=0, description="standardised inputs are cut off here")
    calibration_folds: int = Field(default=5, ge=2, le=100, description="folds of whole hosts")
    calibration_members: int = Field(default=3, ge=1, le=64, description="networks in each fold's ensemble")
    neighbours: int = Field(default=5, ge=1, le=100, description="hops a domain distance averages")

    @field_validator("groups")
    @classmethod
    def _in_order(cls, groups: tuple[GroupName, ...]) -> tuple[GroupName, ...]:
        if len(set(groups)) != len(groups):
            raise ValueError("every descriptor group at most once")
        # The order in which they are named must not make another network.
        return tuple(name for name in GROUP_NAMES if name in groups)

    def digest(self) -> str:
        """Return a SHA-256 over the settings, the same in every process."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint's digest covers of the settings.

        The groups are left to the specification, and a later field that changes nothing is left out: digests
        are older than both.
        """
        fields = self.model_dump(mode="json", exclude={"groups"})
        return {
            name: value
            for name, value in fields.items()
            if name not in LATER_FIELDS or value != LATER_FIELDS[name]
        }

    @property
    def method(self) -> str:
        """What a prediction was made by: ``cnn``, or ``cnn+trees``."""
        return f"{self.arch}+trees" if self.trees else self.arch

    def networks_alone(self) -> TrainSettings:
        """Return the same settings without trees."""
        return self.model_copy(update={"trees": 0})

    def member_seeds(self) -> tuple[int, ...]:
        """Return the seed of every member."""
        return tuple(range(self.seed, self.seed + self.members))
