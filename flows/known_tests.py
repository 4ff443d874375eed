"""Finds test hops of devi2025 that stand in a user's own data set under other ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.progress import reporter
from tasks.datasets import devi2025
from tasks.datasets.findings import some
from tasks.datasets.overlap import same_hop_twice, told
from tasks.datasets.reading import records_or_refuse
from tasks.datasets.records import SPLITS
from tasks.datasets.registry import find_folder, is_own, require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.datasets.overlap import Named


def known_tests(names: Sequence[str], split: str, data_dir: str | None) -> list[tuple[Named, Named]]:
    """Return the hops that are test hops of devi2025, each beside that one, where devi2025 is here.

    Parameters
    ----------
    names : sequence of str
        Data sets; where devi2025 itself is among them nothing is looked for, as such sets are refused.
    split : str
        The split that is used of them, or "all".
    data_dir : str, optional
        Folder that holds the data sets' folders.
    """
    mine = [name for name in names if is_own(name)]
    known = find_folder(devi2025.NAME, data_dir) if mine and devi2025.NAME not in names else None
    if known is None:
        return []
    tests = records_or_refuse(devi2025.NAME, known, {"test"})
    used = SPLITS if split == "all" else {split}
    return [
        pair
        for name in mine
        for pair in same_hop_twice(
            {name: records_or_refuse(name, require(name, data_dir), used), devi2025.NAME: tests}
        )
    ]


def warned_of_known_tests(names: Sequence[str], split: str, data_dir: str | None) -> str:
    """Say which hops are test hops of devi2025, and return a sentence for a model card; empty without any."""
    pairs = known_tests(names, split, data_dir)
    if not pairs:
        return ""
    which = some([" = ".join(map(told, pair)) for pair in pairs])
    number = len({(name, record.hop_id) for (name, record), _ in pairs})
    sets = " and ".join(dict.fromkeys(name for (name, _), _ in pairs))
    reporter().message(
        f"{sets}: test hops of {devi2025.NAME} stand there under other ids ({number}): {which}. A model that "
        "learned them must not be judged on that test."
    )
    return (
        f"{number} of the hops of {sets} are test hops of {devi2025.NAME} under other ids: {which}; no "
        "figure on that test is claimed."
    )
