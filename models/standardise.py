"""The standardiser: fitted on training rows only, it turns descriptors into what a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.arrays import FloatArray, Inputs, LabelledArrays
    from models.specs import InputSpec

MIN_STD = 1e-6  # a column that varies less than this, in its own units, is taken as constant


class GroupScale(BaseModel):
    """Location and scale of each key of one group, and which keys were ever missing in training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[float, ...]
    std: tuple[float, ...]
    ever_missing: tuple[int, ...]


@dataclass(frozen=True)
class Standardiser:
    """Maps descriptors to standardised arrays with missing-indicators appended, and barriers to targets.

    A vector of K keys, M of them ever missing in training, becomes ``(n, K + M)``; an image of C channels,
    M of them ever missing, ``(n, C + M, P)``. A missing value becomes 0, which is the training mean.

    Attributes
    ----------
    groups : dict of str to GroupScale
        Scale of each group, keys in the order of the input specification.
    target_mean, target_std : float
        Of the log barrier over the training rows.
    clip : float
        Standardised values beyond plus or minus this are cut off.
    """

    groups: dict[str, GroupScale]
    target_mean: float
    target_std: float
    clip: float

    def transform(self, inputs: Inputs) -> dict[str, FloatArray]:
        """Return the network's inputs of checked arrays, in new arrays."""
        return {name: _scale(inputs[name], scale, self.clip) for name, scale in self.groups.items()}

    def sizes(self, spec: InputSpec) -> dict[str, tuple[int, ...]]:
        """Return the shape of one row of each group after ``transform``."""
        return {
            group.name: (group.shape[0] + len(self.groups[group.name].ever_missing), *group.shape[1:])
            for group in spec.groups
        }

    def target(self, log_barrier: NDArray[np.float64]) -> FloatArray:
        """Return standardised log barriers."""
        return ((log_barrier - self.target_mean) / self.target_std).astype(np.float32)

    def log_barrier(self, target: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log barriers of standardised targets."""
        return np.asarray(target, dtype=np.float64) * self.target_std + self.target_mean

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that survive JSON exactly."""
        return {
            "groups": {name: scale.model_dump(mode="json") for name, scale in self.groups.items()},
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "clip": self.clip,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Standardiser:
        """Rebuild what ``to_dict`` wrote."""
        groups = {name: GroupScale.model_validate(scale) for name, scale in data["groups"].items()}
        return cls(groups, float(data["target_mean"]), float(data["target_std"]), float(data["clip"]))


def fit_standardiser(training: LabelledArrays, clip: float) -> Standardiser:
    """Fit location and scale on the training rows; an image's channel is fitted over all its positions."""
    target = training.log_barrier()
    spread = float(target.std())
    return Standardiser(
        groups={name: _fit_group(array) for name, array in training.inputs.items()},
        target_mean=float(target.mean()),
        target_std=spread if spread > MIN_STD else 1.0,
        clip=clip,
    )


def _fit_group(array: FloatArray) -> GroupScale:
    keys_last = np.moveaxis(array, 1, -1).reshape(-1, array.shape[1]).astype(np.float64)
    present = np.isfinite(keys_last)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, keys_last, 0.0).sum(axis=0) / count
    variance = np.where(present, keys_last - mean, 0.0) ** 2
    std = np.sqrt(variance.sum(axis=0) / count)
    # A key that never varies carries nothing; dividing by 1 keeps it at zero instead of amplifying noise.
    std = np.where(std > MIN_STD, std, 1.0)
    missing = np.flatnonzero(~present.all(axis=0))
    return GroupScale(mean=tuple(mean), std=tuple(std), ever_missing=tuple(int(k) for k in missing))


def _scale(array: FloatArray, scale: GroupScale, clip: float) -> FloatArray:
    as_column = (1, -1) + (1,) * (array.ndim - 2)
    mean = np.asarray(scale.mean).reshape(as_column)
    std = np.asarray(scale.std).reshape(as_column)
    absent = np.isnan(array)
    values = np.clip(np.where(absent, 0.0, (array - mean) / std), -clip, clip)
    indicators = absent[:, list(scale.ever_missing)]
    return np.concatenate([values, indicators], axis=1).astype(np.float32)
