"""Group `topology`: bar statistics and Betti curves of each cloud, and how the moving ion changes them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.descriptors.persistence_settings import DEFAULT
from tasks.descriptors.registry.base import Entry, registered

if TYPE_CHECKING:
    from tasks.descriptors.persistence_settings import TopologySettings
    from tasks.descriptors.registry.base import Descriptor

VERSION = 3
RIPSER = "10.21105/joss.00925"
ENTROPY = "10.1016/j.patcog.2020.107509"
BETTI_CURVE = "10.1527/tjsai.D-G72"

CLOUDS = {
    "anion": "anions",
    "cation": "cations, other working ions included",
    "framework": "all atoms but other working ions",
}
"""Clouds by role."""

ELEMENT_CLOUDS = {
    "metal": "transition-metal cations",
    "polyanion": "polyanion centres (other cations but hydrogen, of crystal radius below 0.6 Å)",
    "working": "other working ions",
}
"""Clouds by element."""

_H0: tuple[Entry, ...] = (
    ("count", "1", "bars, short ones fading", None),
    ("death_mean_ang", "Å", "mean death, weighed by length", None),
    ("death_std_ang", "Å", "standard deviation of deaths, weighed by length", None),
    ("death_min_ang", "Å", "least death", None),
    ("death_max_ang", "Å", "greatest death", None),
    ("length_sum_ang", "Å", "total length", None),
    ("entropy", "1", "persistent entropy, short bars fading", ENTROPY),
)
_HIGHER: tuple[Entry, ...] = (
    *_H0,
    ("birth_mean_ang", "Å", "mean birth, weighed by length", None),
    ("birth_std_ang", "Å", "standard deviation of births, weighed by length", None),
    ("birth_min_ang", "Å", "least birth", None),
    ("birth_max_ang", "Å", "greatest birth", None),
    ("length_mean_ang", "Å", "mean length, weighed by length", None),
    ("length_std_ang", "Å", "standard deviation of lengths, weighed by length", None),
    ("length_min_ang", "Å", "least length", None),
    ("length_max_ang", "Å", "greatest length", None),
)
COMPACT = ("count", "length_sum_ang", "length_max_ang")
"""What the compact form tells of the ion's change, beside curves. The first two exist without bars too."""


def descriptors(settings: TopologySettings = DEFAULT) -> tuple[Descriptor, ...]:
    """Return bar statistics and Betti curves of each cloud, in order.

    Parameters
    ----------
    settings : TopologySettings
        Decides which there are.

    Returns
    -------
    tuple of Descriptor
        In the order of the group's array.
    """
    entries: list[Entry] = []
    for cloud, what in CLOUDS.items():
        entries.append((f"{cloud}_points", "1", f"{what}: atoms in the cloud", None))
        entries += _homology(cloud, what, settings, settings.max_dimension)
    for cloud, what in CLOUDS.items():
        entries += _with_ion(f"{cloud}_ion", what, settings)
    if settings.element_dimension is not None:
        for cloud, what in ELEMENT_CLOUDS.items():
            entries.append((f"{cloud}_points", "1", f"{what}: atoms in the cloud", None))
            entries += _homology(cloud, what, settings, settings.element_dimension)
    return registered("topology", entries)


def _homology(stem: str, what: str, settings: TopologySettings, max_dimension: int) -> list[Entry]:
    """Entries of one cloud as it is."""
    entries: list[Entry] = []
    for dimension in range(max_dimension + 1):
        prefix, words = f"{stem}_h{dimension}", f"{what}, H{dimension}"
        for key, unit, meaning, reference in _HIGHER if dimension else _H0:
            doi = RIPSER if reference is None else reference
            entries.append((f"{prefix}_{key}", unit, f"{words}: {meaning}", doi))
        for k, (low, high) in enumerate(pairwise(settings.bins_ang(dimension))):
            meaning = f"{words}: mean bars alive per atom from {low} to {high} Å"
            entries.append((f"{prefix}_betti_{k}", "1", meaning, BETTI_CURVE))
    return entries


def _with_ion(stem: str, what: str, settings: TopologySettings) -> list[Entry]:
    """Entries of one cloud joined by the moving ion at the transition state."""
    if settings.ion == "none":
        return []
    joined = f"{what} and the moving ion at the transition state"
    entries = _homology(stem, joined, settings, settings.max_dimension)
    if settings.ion == "full":
        return entries
    changes = [
        (key, unit, f"change by the ion, {words.replace(' per atom', '')}", doi)
        for key, unit, words, doi in entries
    ]
    if settings.ion == "changes":
        return changes
    kept = tuple(f"_{name}" for name in COMPACT)
    return [entry for entry in changes if entry[0].endswith(kept) or "_betti_" in entry[0]]
