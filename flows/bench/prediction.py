"""Bench `prediction`: barriers by Lightning's Trainer.predict, beside a plain forward pass."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from flows.bench.measure import OURS, Case, Unit, alternate, summarise
from flows.bench.structures import reference_hops
from models.checkpoints import load
from models.locate import find_checkpoint
from tasks.descriptors.assemble import INPUT_SPEC, describe_batch

if TYPE_CHECKING:
    from flows.bench.measure import BenchResult, BenchSettings
    from models.arrays import Inputs

PLAIN = "plain forward pass"
BATCHES = (64, 512, 2048)
DESCRIBED = 24
AGREEMENT_EV = 1e-4
"""How far two ways to the same barrier may be apart: single precision over a few thousand sums."""


def bench(settings: BenchSettings) -> BenchResult:
    """Time predictions of the same hops on one CPU core.

    Raises
    ------
    CheckpointError, VersionError
        When there is no such checkpoint, or it is for other descriptors.
    """
    checkpoint = load(find_checkpoint(settings.model), expected=INPUT_SPEC)
    limit = DESCRIBED if settings.limit is None else settings.limit
    described = describe_batch([env for _, env in reference_hops(limit)])
    cases, apart_ev = [], []
    for size in BATCHES:
        rows = np.arange(size) % len(described["local"])
        inputs: Inputs = {name: array[rows] for name, array in described.items()}
        found = alternate(
            {
                OURS: partial(checkpoint.predict, inputs, accelerator="cpu"),
                PLAIN: partial(checkpoint.predict_plain, inputs),
            },
            repeats=settings.repeats,
        )
        barriers = [found[side].result.barrier_ev for side in (OURS, PLAIN)]
        apart_ev.append(float(np.abs(barriers[0] - barriers[1]).max()))
        seconds = {side: timing.seconds for side, timing in found.items()}
        equal = len(barriers[0]) == len(barriers[1]) == size and apart_ev[-1] <= AGREEMENT_EV
        cases.append(Case(f"{size} hops", float(size), seconds, equal))
    unit = Unit("hops/s")
    rates = {case.name: unit.of(case.seconds[OURS] or np.inf, case.work) for case in cases}
    return summarise(
        "prediction",
        cases,
        unit,
        details={
            "hops/s of lihop": rates,
            "members": len(checkpoint.ensemble.members),
            "model_digest": checkpoint.digest[:12],
            "largest_difference_ev": max(apart_ev),
        },
        notes=[
            "on one CPU core, the start of the Trainer included; inputs are reference hops, repeated",
            f"counts are equal when both predict every hop and agree within {AGREEMENT_EV:g} eV",
        ],
    )
