"""Group `topology`: bar statistics and Betti curves of each cloud."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.descriptors.registry.base import Entry, registered

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

VERSION = 3
RIPSER = "10.21105/joss.00925"
ENTROPY = "10.1016/j.patcog.2020.107509"
BETTI_CURVE = "10.1527/tjsai.D-G72"

BETTI_BINS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)
"""Edges in Å of the bins of the Betti curves."""

CLOUDS = {
    "anion": "anions",
    "cation": "cations, other working ions included",
    "framework": "all atoms but other working ions",
}

_H0: tuple[Entry, ...] = (
    ("count", "1", "bars, short ones fading", None),
    ("death_mean_ang", "Å", "mean death, weighed by length", None),
    ("death_std_ang", "Å", "standard deviation of deaths, weighed by length", None),
    ("death_min_ang", "Å", "least death", None),
    ("death_max_ang", "Å", "greatest death", None),
    ("length_sum_ang", "Å", "total length", None),
    ("entropy", "1", "persistent entropy", ENTROPY),
)
_H1: tuple[Entry, ...] = (
    *_H0,
    ("birth_mean_ang", "Å", "mean birth, weighed by length", None),
    ("birth_min_ang", "Å", "least birth", None),
    ("birth_max_ang", "Å", "greatest birth", None),
    ("length_mean_ang", "Å", "mean length, weighed by length", None),
    ("length_std_ang", "Å", "standard deviation of lengths, weighed by length", None),
    ("length_max_ang", "Å", "greatest length", None),
)


def descriptors() -> tuple[Descriptor, ...]:
    """Return bar statistics and Betti curves of each cloud, in order."""
    entries: list[Entry] = []
    for cloud, what in CLOUDS.items():
        entries.append((f"{cloud}_points", "1", f"{what}: atoms in the cloud", None))
        for dimension, statistics in enumerate((_H0, _H1)):
            stem = f"{cloud}_h{dimension}"
            for key, unit, words, reference in statistics:
                doi = RIPSER if reference is None else reference
                entries.append((f"{stem}_{key}", unit, f"{what}, H{dimension}: {words}", doi))
            for k, (low, high) in enumerate(pairwise(BETTI_BINS)):
                meaning = f"{what}, H{dimension}: mean bars alive per atom from {low} to {high} Å"
                entries.append((f"{stem}_betti_{k}", "1", meaning, BETTI_CURVE))
    return registered("topology", entries)
