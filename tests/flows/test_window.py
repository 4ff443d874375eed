"""Batches are handed out a window at a time: drawn late, taken in any order, and let go of at once."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from flows.running.plain import PlainSteps
from flows.running.steps import WorkerLostError
from flows.running.window import window_of


class Threads:
    """A pool whose calls run in the thread that asks."""

    def __init__(self, workers: int = 2, callers: int = 2) -> None:
        self.workers, self.callers = workers, callers

    def run(self, call, payload):
        return call(payload)


def over(pool, call, payloads):
    return PlainSteps(pool).over_pool("test", call, payloads)


def double(value):
    return 2 * value


def test_every_payload_comes_back_once_with_its_result():
    found = list(over(Threads(), double, iter(range(100))))
    assert sorted(found) == [(k, 2 * k) for k in range(100)]


def test_nothing_comes_of_nothing():
    assert list(over(Threads(), double, iter(()))) == []


def test_one_caller_keeps_the_order():
    assert [payload for payload, _ in over(Threads(1, 1), double, range(50))] == list(range(50))


def test_who_is_done_first_is_yielded_first():
    go = threading.Event()

    def call(name):
        if name == "slow":
            assert go.wait(60)
        return name

    found = over(Threads(), call, ["slow", "quick"])
    assert next(found) == ("quick", "quick")
    go.set()
    assert list(found) == [("slow", "slow")]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_than_a_window_is_drawn_ahead(workers):
    pool = Threads(workers, workers + 2)
    drawn = count()
    taken = 0
    last = -1

    def payloads():
        nonlocal last
        for last in drawn:
            if last == 200:
                return
            yield last

    for _ in over(pool, double, payloads()):
        taken += 1
        assert last + 1 <= taken + window_of(pool)
    assert taken == 200


def test_workers_have_their_work_while_a_result_is_dealt_with():
    begun = [threading.Event() for _ in range(20)]
    pool = Threads(2, 2)
    found = over(pool, lambda k: begun[k].set(), range(20))
    next(found)
    # Nothing more is taken, and yet a whole window is worked on.
    for event in begun[: window_of(pool)]:
        assert event.wait(60)


def test_errors_are_handed_over_and_cost_no_other_its_result():
    def call(value):
        if value % 3 == 0:
            raise WorkerLostError("died") if value % 2 else ValueError(value)
        return value

    found = dict(over(Threads(), call, range(9)))
    assert {k for k, one in found.items() if isinstance(one, WorkerLostError)} == {3}
    assert {k for k, one in found.items() if isinstance(one, ValueError)} == {0, 6}
    assert all(found[k] == k for k in (1, 2, 4, 5, 7, 8))


def test_an_interrupt_goes_on_up():
    def call(_value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(over(Threads(), call, range(3)))


def test_an_error_where_payloads_come_from_ends_it():
    def payloads():
        yield 1
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        list(over(Threads(), double, payloads()))


def test_who_stops_listening_lets_nothing_begin():
    go, done = threading.Event(), []

    def call(value):
        if value:
            assert go.wait(60)
        done.append(value)

    pool = Threads(2, 2)
    found = over(pool, call, range(100))
    next(found)
    before = threading.active_count()
    found.close()
    go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("lihop-test"):
            thread.join(60)
    assert threading.active_count() < before
    # The first, and at most what both threads had begun.
    assert len(done) <= 3


def test_what_was_taken_is_let_go_of():
    made, gone = [], []

    class Thing:
        def __init__(self):
            made.append(1)

        def __del__(self):
            gone.append(1)

    pool = Threads()
    most = 0
    for _pair in over(pool, lambda _payload: Thing(), (Thing() for _ in range(300))):
        del _pair
        most = max(most, len(made) - len(gone))
    # Payloads and results of a window, and what threads and loops still have in hand.
    assert most <= 2 * window_of(pool) + 6
