"""The standardiser: fitted on training rows only, it turns descriptors into what a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.arrays import FloatArray, Inputs, LabelledArrays
    from models.specs import InputSpec

MIN_STD = 1e-6  # a column that varies less than this, in its own units, is taken as constant
# Levels of the quantiles that map a descriptor to normal scores; the ends stay finite.
LEVELS = np.linspace(0.0, 1.0, 33)
SCORES = stats.norm.ppf(np.clip(LEVELS, 0.5 / len(LEVELS), 1 - 0.5 / len(LEVELS)))
# Quantiles nearer than this, in widths of their key, become one. Many descriptors are 0 by symmetry for most
# hops: with knots as close as rounding errors, a crystal given in another frame would score otherwise.
MIN_GAP = 0.03
NORMAL_IQR = 1.349  # interquartile range of a normal, in standard deviations
# The width is the interquartile one, which a long tail does not stretch, unless that is this little of the
# standard deviation: then half of the values are one value and its rounding errors.
LEAST_IQR = 0.02


class GroupScale(BaseModel):
    """How each key of one group is scaled, and which keys were ever missing in training.

    ``mean`` and ``std`` are of the values, ``score_mean`` and ``score_std`` of their normal scores;
    ``knots`` holds each key's quantiles, ascending and at least ``MIN_GAP`` apart, and ``scores`` theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[float, ...]
    std: tuple[float, ...]
    knots: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    score_mean: tuple[float, ...]
    score_std: tuple[float, ...]
    ever_missing: tuple[int, ...]


@dataclass(frozen=True)
class Standardiser:
    """Maps descriptors to standardised arrays with missing-indicators appended, and barriers to targets.

    A vector of K keys, M of them ever missing in training, becomes ``(n, K + M)``; an image of C channels,
    M of them ever missing, ``(n, C + M, P)``. A missing value becomes 0, which is the training mean.

    Networks take normal scores: many descriptors are skewed or mostly zero, and their few extreme values
    would lead a network astray. Beyond the training range a score stays at its end. Distances take
    ``z_scores``, which go on growing there.

    Attributes
    ----------
    groups : dict of str to GroupScale
        Scale of each group, keys in the order of the input specification.
    target_mean, target_std : float
        Of the target over the training rows.
    clip : float
        Standardised values beyond plus or minus this are cut off.
    target_power : float
        The target is this power of the barrier in eV, or its logarithm where the power is 0. A power between
        counts an error of a high barrier for more than the logarithm does, and one of a low barrier for more
        than the barrier itself does (Box and Cox 1964, 10.1111/j.2517-6161.1964.tb00553.x).
    target_least : float
        The least target of the training rows: a power has to stay above zero, so none is predicted below.
    """

    groups: dict[str, GroupScale]
    target_mean: float
    target_std: float
    clip: float
    target_power: float = 0.0
    target_least: float = 0.0

    def transform(self, inputs: Inputs) -> dict[str, FloatArray]:
        """Return the network's inputs of checked arrays, in new arrays: standardised normal scores."""
        return {
            name: self._scaled(
                inputs[name],
                _normal_scores(inputs[name], scale.knots, scale.scores),
                scale.score_mean,
                scale.score_std,
                scale,
            )
            for name, scale in self.groups.items()
        }

    def z_scores(self, inputs: Inputs) -> dict[str, FloatArray]:
        """Return the same shapes with values scaled by mean and standard deviation alone."""
        return {
            name: self._scaled(inputs[name], inputs[name], scale.mean, scale.std, scale)
            for name, scale in self.groups.items()
        }

    def percentiles(self, inputs: Inputs) -> dict[str, NDArray[np.float64]]:
        """Return what share of the training values lies below each value, in percent; NaN where missing.

        Shapes are those of the inputs. Beyond the outermost levels that the standardiser keeps, the share
        stays at its end: 1.5 and 98.5 are "less" and "more than nearly all".
        """
        return {
            name: 100 * stats.norm.cdf(_normal_scores(inputs[name], scale.knots, scale.scores))
            for name, scale in self.groups.items()
        }

    def _scaled(
        self,
        array: FloatArray,
        values: NDArray[np.floating],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: GroupScale,
    ) -> FloatArray:
        as_column = (1, -1) + (1,) * (array.ndim - 2)
        absent = np.isnan(array)
        # In place, because these arrays are the largest that a prediction makes.
        scaled = values - np.asarray(mean).reshape(as_column)
        scaled /= np.asarray(std).reshape(as_column)
        np.clip(scaled, -self.clip, self.clip, out=scaled)
        scaled[absent] = 0.0
        n_keys = array.shape[1]
        found = np.empty((len(array), n_keys + len(scale.ever_missing), *array.shape[2:]), dtype=np.float32)
        found[:, :n_keys] = scaled
        found[:, n_keys:] = absent[:, list(scale.ever_missing)]
        return found

    def sizes(self, spec: InputSpec) -> dict[str, tuple[int, ...]]:
        """Return the shape of one row of each group after ``transform``."""
        return {
            group.name: (group.shape[0] + len(self.groups[group.name].ever_missing), *group.shape[1:])
            for group in spec.groups
        }

    def target(self, log_barrier: NDArray[np.float64]) -> FloatArray:
        """Return standardised log barriers."""
        value = _powered(log_barrier, self.target_power)
        return ((value - self.target_mean) / self.target_std).astype(np.float32)

    def log_barrier(self, target: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log barriers of standardised targets."""
        value = np.asarray(target, dtype=np.float64) * self.target_std + self.target_mean
        if self.target_power == 0:
            return value
        return np.asarray(np.log(np.maximum(value, self.target_least)) / self.target_power)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that survive JSON exactly."""
        return {
            "groups": {name: scale.model_dump(mode="json") for name, scale in self.groups.items()},
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "clip": self.clip,
            # Checkpoints of log barriers say nothing of a power, and keep their digests.
            **(
                {"target_power": self.target_power, "target_least": self.target_least}
                if self.target_power
                else {}
            ),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Standardiser:
        """Rebuild what ``to_dict`` wrote."""
        groups = {name: GroupScale.model_validate(scale) for name, scale in data["groups"].items()}
        return cls(
            groups,
            float(data["target_mean"]),
            float(data["target_std"]),
            float(data["clip"]),
            float(data.get("target_power", 0.0)),
            float(data.get("target_least", 0.0)),
        )


def fit_standardiser(training: LabelledArrays, clip: float, target_power: float = 0.0) -> Standardiser:
    """Fit the scales on the training rows; an image's channel is fitted over all its positions."""
    target = _powered(training.log_barrier(), target_power)
    spread = float(target.std())
    return Standardiser(
        groups={name: _fit_group(array) for name, array in training.inputs.items()},
        target_mean=float(target.mean()),
        target_std=spread if spread > MIN_STD else 1.0,
        clip=clip,
        target_power=target_power,
        target_least=float(target.min()) if target_power else 0.0,
    )


def _powered(log_barrier: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(power * log_barrier)) if power else log_barrier


def _fit_group(array: FloatArray) -> GroupScale:
    keys_last = np.moveaxis(array, 1, -1).reshape(-1, array.shape[1])
    mean, std = _location_and_scale(keys_last)
    maps = [_knots(column[np.isfinite(column)]) for column in keys_last.T]
    knots, scores = tuple(places for places, _ in maps), tuple(values for _, values in maps)
    score_mean, score_std = _location_and_scale(_normal_scores(keys_last, knots, scores))
    missing = np.flatnonzero(~np.isfinite(keys_last).all(axis=0))
    return GroupScale(
        mean=tuple(mean),
        std=tuple(std),
        knots=knots,
        scores=scores,
        score_mean=tuple(score_mean),
        score_std=tuple(score_std),
        ever_missing=tuple(int(k) for k in missing),
    )


def _location_and_scale(table: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = table.astype(np.float64)
    present = np.isfinite(values)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / count
    std = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / count)
    # A key that never varies carries nothing; dividing by 1 keeps it at zero instead of amplifying noise.
    return mean, np.where(std > MIN_STD, std, 1.0)


def _knots(values: NDArray[np.floating]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the quantiles of some values, those nearer than ``MIN_GAP`` merged, and their scores.

    Merged quantiles stand at their mean with the mean of their scores, so that a value which many rows share
    scores the middle of what they span.
    """
    if len(values) == 0:
        return (0.0,), (0.0,)
    quantiles = np.quantile(values.astype(np.float64), LEVELS)
    std = float(values.std(dtype=np.float64))
    middle = float(np.subtract(*np.quantile(values.astype(np.float64), (0.75, 0.25)))) / NORMAL_IQR
    min_gap = MIN_GAP * (middle if middle > LEAST_IQR * std else std)
    groups: list[list[int]] = [[0]]
    for place in range(1, len(quantiles)):
        if quantiles[place] - quantiles[groups[-1][0]] < min_gap:
            groups[-1].append(place)
        else:
            groups.append([place])
    means = np.array([quantiles[group].mean() for group in groups]).astype(np.float32)
    scores = np.array([SCORES[group].mean() for group in groups]).astype(np.float32)
    # The shortest decimals that name the same float32 keep the checkpoint's JSON small.
    return tuple(float(str(knot)) for knot in means), tuple(float(str(score)) for score in scores)


def _normal_scores(
    array: FloatArray, knots: tuple[tuple[float, ...], ...], scores: tuple[tuple[float, ...], ...]
) -> NDArray[np.float64]:
    """Map each key (axis 1) to normal scores, between the knots linearly and beyond them not at all."""
    found = np.empty(array.shape, dtype=np.float64)
    for key, (places, values) in enumerate(zip(knots, scores, strict=True)):
        found[:, key] = np.interp(array[:, key].astype(np.float64), places, values)
    return found
