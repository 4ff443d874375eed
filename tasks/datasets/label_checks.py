"""Checks of labels: barriers and their unit, ids, the same hop told twice, and what splits have in common."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from tasks.datasets.findings import Finding, Severity, some
from tasks.datasets.fingerprints import fingerprint, groups_of_same, same_hops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.datasets.records import HopRecord

LABEL_TOLERANCE_EV = 0.1
"""Barriers of one hop that differ by more contradict each other: functionals alone make up to about this."""

LARGEST_BARRIER_EV = 10.0
"""No ion gets over more before the crystal falls apart; a larger figure is in another unit."""

LEAST_MEDIAN_EV = 0.03
"""A set whose median is less is in a larger unit: at room temperature its hops would be no barriers."""

EV_PER = {"meV": 1e-3, "kJ/mol": 1.0 / 96.48533212, "hartree": 27.211386245988}
"""Units that barriers come in (CODATA 2018)."""

COMMON_EV = (0.05, 3.0)
"""Where most barriers of solids lie, to guess a unit by."""

ENOUGH_FOR_A_MEDIAN = 5
GROUPS_SHOWN = 10


def check_ids(records: Sequence[HopRecord]) -> list[Finding]:
    """Find ids that stand twice."""
    counts = Counter(record.hop_id for record in records)
    twice = tuple(sorted(name for name, count in counts.items() if count > 1))
    if not twice:
        return []
    return [Finding("error", "duplicate ids", f"{some(twice)}: every hop needs an id of its own.", twice)]


def check_barriers(records: Sequence[HopRecord]) -> list[Finding]:
    """Find barriers that are no number, not above zero, or in another unit than eV."""
    found = []
    unknown = tuple(r.hop_id for r in records if not math.isfinite(r.barrier_ev))
    if unknown:
        found.append(
            Finding("error", "barriers", f"{some(unknown)}: no finite number; leave the rows out.", unknown)
        )
    known = [r for r in records if math.isfinite(r.barrier_ev)]
    low = tuple(r.hop_id for r in known if r.barrier_ev <= 0.0)
    if low:
        found.append(
            Finding(
                "error",
                "barriers",
                f"{some(low)}: a barrier, E(saddle) - min(E of the ends), is above zero; correct it.",
                low,
            )
        )
    return found + _check_unit([r for r in known if r.barrier_ev > 0.0])


def _check_unit(records: Sequence[HopRecord]) -> list[Finding]:
    """Find barriers that look as if they were in another unit."""
    if not records:
        return []
    median = float(np.median([r.barrier_ev for r in records]))
    high = tuple(r.hop_id for r in records if r.barrier_ev > LARGEST_BARRIER_EV)
    if high:
        largest = max(r.barrier_ev for r in records)
        fits = [
            f"{unit} would make it {median * EV_PER[unit]:.3g} eV"
            for unit in ("meV", "kJ/mol")
            if COMMON_EV[0] <= median * EV_PER[unit] <= COMMON_EV[1]
        ]
        guess = f" The median is {median:.4g}: {', '.join(fits)}." if fits else ""
        message = (
            f"{some(high)}: above {LARGEST_BARRIER_EV:g} eV, up to {largest:.4g}; is that eV?{guess} Give "
            "the unit that the figures are in."
        )
        return [Finding("error", "units of barriers", message, high)]
    if len(records) >= ENOUGH_FOR_A_MEDIAN and median < LEAST_MEDIAN_EV:
        message = (
            f"The median is {median:.4g} eV, which hardly is a barrier: as hartree it would be "
            f"{median * EV_PER['hartree']:.3g} eV. Check the unit."
        )
        return [Finding("warning", "units of barriers", message)]
    return []


def check_same_hops(records: Sequence[HopRecord], *, published: bool) -> list[Finding]:
    """Find hops that are told twice: between splits, with other barriers, or merely again.

    Parameters
    ----------
    records : sequence of HopRecord
        All hops of the data set, of all splits.
    published : bool
        Whether others published the set. Nobody here can mend it then, so that what its authors left in is
        a warning; in a set of one's own it is an error.
    """
    pairs = list(same_hops([fingerprint(record) for record in records]))
    bad: Severity = "warning" if published else "error"
    leaks, conflicts, again = [], [], []
    for group in groups_of_same(pairs):
        members = [records[index] for index in group]
        barriers = [member.barrier_ev for member in members]
        if len({member.split for member in members}) > 1:
            leaks.append(members)
        if max(barriers) - min(barriers) > LABEL_TOLERANCE_EV:
            conflicts.append(members)
        elif len({member.split for member in members}) == 1:
            again.append(members)
    findings = [
        _told(
            leaks,
            bad,
            "leaks between splits",
            "The same hop in several splits, so that a test of it tests memory",
        ),
        _told(
            conflicts,
            bad,
            "conflicting labels",
            f"The same crystal and ends with barriers more than {LABEL_TOLERANCE_EV:g} eV apart, one of them "
            "of another path, method or hop",
        ),
        _told(
            again, "note" if published else "warning", "hops told twice", "The same hop again, alike labelled"
        ),
    ]
    return [finding for finding in findings if finding is not None]


def _told(groups: list[list[HopRecord]], severity: Severity, check: str, what: str) -> Finding | None:
    """Return a finding about groups of the same hop; None where there is no group."""
    if not groups:
        return None
    named = [" = ".join(f"{m.hop_id} ({m.barrier_ev:g} eV)" for m in members) for members in groups]
    ids = tuple(member.hop_id for members in groups for member in members)
    return Finding(severity, check, f"{what} ({len(groups)}): {some(named, GROUPS_SHOWN, '; ')}.", ids)


def check_shared_hosts(records: Sequence[HopRecord]) -> list[Finding]:
    """Count the hops outside the training split whose host and ion the training split has too."""
    of_split: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for record in records:
        of_split[record.split].add((record.ion, record.host_formula))
    found = []
    for split in ("val", "test"):
        mine = [r for r in records if r.split == split]
        shared = tuple(r.hop_id for r in mine if (r.ion, r.host_formula) in of_split["train"])
        if shared:
            message = (
                f"{len(shared)} of {len(mine)} {split} hops share ion and host (formula without the ion) "
                "with training: figures on them flatter; hold out whole hosts as well."
            )
            found.append(Finding("note", "shared hosts", message, shared))
    return found


def check_notes(records: Sequence[HopRecord]) -> list[Finding]:
    """Say what readers had to assume."""
    noted: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.note:
            noted[record.note].append(record.hop_id)
    return [Finding("note", "reading", f"{some(ids)}: {text}.", tuple(ids)) for text, ids in noted.items()]
