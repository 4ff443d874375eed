"""All checks of a data set's hops in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.datasets.findings import Finding, in_order
from tasks.datasets.geometry_checks import check_geometry
from tasks.datasets.label_checks import (
    check_barriers,
    check_ids,
    check_notes,
    check_same_hops,
    check_shared_hosts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.datasets.records import HopRecord


def examine(records: Sequence[HopRecord], *, published: bool) -> list[Finding]:
    """Return everything that is wrong or worth knowing about the hops of a data set, the worst first.

    Parameters
    ----------
    records : sequence of HopRecord
        The hops that could be read, of all splits.
    published : bool
        Whether others published the set. What nobody here can mend is a warning then, and an error in a set
        of one's own.
    """
    if not records:
        return [Finding("error", "hops", "There is no hop that can be read.")]
    return in_order(
        [
            *check_ids(records),
            *check_barriers(records),
            *check_geometry(records, published=published),
            *check_same_hops(records, published=published),
            *check_shared_hosts(records),
            *check_notes(records),
        ]
    )
