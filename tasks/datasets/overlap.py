"""Refuses data sets that hold the same hop: it would count twice, or be trained on and tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.datasets.errors import DatasetError
from tasks.datasets.findings import some
from tasks.datasets.fingerprints import fingerprint, same_hops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.datasets.records import HopRecord

    Named = tuple[str, HopRecord]


def same_hop_twice(sets: Mapping[str, Sequence[HopRecord]]) -> list[tuple[Named, Named]]:
    """Return the pairs of hops of two data sets that are the same hop, each with its set's name."""
    flat = [(name, record) for name, records in sets.items() for record in records]
    prints = [fingerprint(record) for _, record in flat]
    return [(flat[a], flat[b]) for a, b, _ in same_hops(prints) if flat[a][0] != flat[b][0]]


def told(named: Named) -> str:
    """Return a hop as people read it."""
    name, record = named
    return f"{name}:{record.hop_id} ({record.barrier_ev:g} eV)"


def overlap(sets: Mapping[str, Sequence[HopRecord]]) -> list[tuple[str, str]]:
    """Return the pairs of hops of two data sets that are the same hop, as people read them."""
    return [(told(first), told(second)) for first, second in same_hop_twice(sets)]


def refuse_overlap(sets: Mapping[str, Sequence[HopRecord]]) -> None:
    """Refuse data sets of which two hold the same hop.

    Raises
    ------
    DatasetError
        Naming the pairs.
    """
    pairs = [" = ".join(pair) for pair in overlap(sets)]
    if pairs:
        raise DatasetError(
            f"--dataset {','.join(sets)}: the same hop stands in two of them ({len(pairs)}): {some(pairs)}. "
            "They would count twice, or be trained on and tested; leave them out of the set that is your "
            "own, or name one data set alone."
        )
