"""Synthetic hops for the tests of models: small, seeded, with a barrier that the descriptors know."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrays import LabelledArrays
from models.settings import TrainSettings
from models.specs import GROUP_NAMES, GroupSpec, InputSpec


def make_rows(n: int = 120, seed: int = 0, noise: float = 0.1) -> LabelledArrays:
    shapes = {"local": (5,), "profile": (4, 9), "topology": (3,), "chemistry": (2,)}
    spec = InputSpec(
        groups=tuple(
            GroupSpec(name=name, version=1, keys=tuple(f"{name}_{k}" for k in range(shape[0])), shape=shape)
            for name, shape in shapes.items()
        )
    )
    rng = np.random.default_rng(seed)
    inputs = {g.name: rng.normal(3.0, 2.0, size=(n, *g.shape)).astype(np.float32) for g in spec.groups}
    log_barrier = -0.7 + 0.25 * (inputs["local"][:, 0] - 3.0) + noise * rng.normal(size=n)
    inputs["topology"][::7, 1] = np.nan
    inputs["profile"][::5, 2, 3:6] = np.nan
    return LabelledArrays(
        inputs=inputs,
        barrier_ev=np.exp(log_barrier),
        ids=tuple(f"hop-{seed}-{k}" for k in range(n)),
        hosts=tuple(f"host-{k % max(n // 4, 1)}" for k in range(n)),
        ions=tuple("Li" if k % 3 else "Na" for k in range(n)),
        spec=spec,
    )


TINY = TrainSettings(
    groups=GROUP_NAMES, members=2, epochs=3, learning_rate=3e-3, batch_size=32, channels=8, blocks=1,
    hidden=8, fused=8, calibration_folds=2, calibration_members=2, trees=4,
)  # fmt: skip


@pytest.fixture(scope="session")
def rows() -> LabelledArrays:
    return make_rows()


@pytest.fixture(scope="session")
def tiny() -> TrainSettings:
    return TINY


@pytest.fixture(scope="session")
def make():
    return make_rows
