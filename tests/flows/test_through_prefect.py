"""Task runs: one for several pieces of a list, where there are enough for all workers; each tells its own."""

from __future__ import annotations

import threading

import pytest

from flows.running import through_prefect
from flows.running.steps import WorkerLostError
from flows.running.threads import ThreadPool
from flows.running.through_prefect import PrefectSteps
from flows.running.window import Counted, at_once
from tests.processes import until


@pytest.fixture
def runs(monkeypatch):
    """What task runs there were: their numbers, and how many payloads each had."""
    noted: list[tuple[int, int]] = []

    def run(stage, number, parcel):
        assert stage == "try"
        noted.append((number, len(parcel.value.payload)))
        parcel.value.deliver()

    monkeypatch.setattr(through_prefect, "run_in_pool", run)
    return noted


def refuse(number):
    if number % 5 == 0:
        raise ValueError(f"{number} is a multiple")
    if number % 7 == 0:
        raise WorkerLostError(str(number))
    return 2 * number


@pytest.mark.parametrize(
    ("pieces", "workers", "expected"),
    [(0, 2, 1), (1, 1, 1), (8, 2, 1), (9, 2, 2), (24, 2, 3), (250, 2, 4), (250, 64, 1), (10_000, 64, 4)],
)
def test_so_many_as_leave_every_worker_enough(pieces, workers, expected):
    assert at_once(pieces, workers) == expected


def test_a_list_is_handed_out_several_at_a_time_and_each_piece_has_its_own_result(runs):
    with ThreadPool(2) as pool:
        found = dict(PrefectSteps(pool).over_pool("try", refuse, list(range(1, 41))))
    assert sorted(found) == list(range(1, 41))
    for number, result in found.items():
        kind = ValueError if number % 5 == 0 else WorkerLostError if number % 7 == 0 else int
        assert isinstance(result, kind)
        assert kind is not int or result == 2 * number
    # Fewer at a time towards the end.
    assert [size for _, size in sorted(runs)] == [4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2, *[1] * 7]


def test_so_is_what_is_drawn_as_it_comes_where_it_is_known_how_many_there_are(runs):
    with ThreadPool(2) as pool:
        counted = Counted(iter(range(1, 13)), 12)
        assert sorted(payload for payload, _ in PrefectSteps(pool).over_pool("try", refuse, counted)) == [
            *range(1, 13)
        ]
    assert [size for _, size in sorted(runs)] == [2, 2, *[1] * 8]


def test_who_stops_taking_them_lets_no_more_of_a_group_begin(runs):
    begun, reached, go_on = [], threading.Event(), threading.Event()

    def note(number):
        begun.append(number)
        if number == 5:
            reached.set()
            assert go_on.wait(60)
        return number

    with ThreadPool(1) as pool:
        found = PrefectSteps(pool).over_pool("try", note, range(1, 22))
        assert next(found) == (1, 1)
        assert reached.wait(60)
        found.close()
        go_on.set()
        until(lambda: not [one for one in threading.enumerate() if one.name.startswith("lihop-try")])
    assert sorted(runs) == [(1, 4), (2, 4)]
    assert begun == [1, 2, 3, 4, 5]


def test_what_is_drawn_as_it_comes_is_handed_out_one_by_one(runs):
    with ThreadPool(2) as pool:
        found = dict(PrefectSteps(pool).over_pool("try", refuse, iter(range(1, 5))))
    assert found == {1: 2, 2: 4, 3: 6, 4: 8}
    assert sorted(runs) == [(number, 1) for number in range(1, 5)]


def test_what_is_wrong_with_the_task_run_itself_is_not_taken_for_a_result(monkeypatch):
    def broken(*_run):
        raise ConnectionError("no server")

    monkeypatch.setattr(through_prefect, "run_in_pool", broken)
    with ThreadPool(2) as pool, pytest.raises(ConnectionError, match="no server"):
        list(PrefectSteps(pool).over_pool("try", refuse, [1, 2]))


def test_results_that_are_there_outlive_a_server_that_is_gone_when_they_are(monkeypatch):
    def late(_stage, _number, parcel):
        parcel.value.deliver()
        raise ConnectionError("no server")

    monkeypatch.setattr(through_prefect, "run_in_pool", late)
    with ThreadPool(2) as pool:
        assert dict(PrefectSteps(pool).over_pool("try", refuse, [1, 2])) == {1: 2, 2: 4}
