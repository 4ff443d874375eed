"""How work is divided: batches of the size that was asked for, and larger ones of what takes little work."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.context import Context
from flows.parameters import ScreenParameters


def _divided(divide, count, **parameters):
    asked = SimpleNamespace(parameters=ScreenParameters(**parameters))
    found = divide(asked, range(count))
    assert [one for chunk in found for one in chunk] == list(range(count))
    return [len(chunk) for chunk in found]


@pytest.mark.parametrize(
    ("count", "batch_size", "workers", "sizes"),
    [
        (2_000, 8, 2, {32}),
        # Every worker has work, and more than one piece of it.
        (100, 8, 2, {13}),
        (39, 8, 2, {8}),
        (6, 1, 2, {1}),
        (2_000, 8, 256, {8}),
        (0, 8, 2, set()),
    ],
)
def test_light_batches_are_larger_where_there_are_enough(count, batch_size, workers, sizes):
    found = _divided(Context.light_chunks, count, batch_size=batch_size, workers=workers)
    assert set(found[:-1]) <= sizes
    assert max(found, default=0) <= max(sizes, default=0)
    assert len(found) >= min(count, workers) or max(found) == batch_size


def test_other_batches_are_as_asked_for():
    assert _divided(Context.chunks, 20, batch_size=8) == [8, 8, 4]
