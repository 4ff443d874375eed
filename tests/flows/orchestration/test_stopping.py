"""A flow that is told to stop ends by what its handler raised, wherever it was."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from flows.orchestration.stopping import stopping_as_told
from storage.database import writing
from storage.places import paths_of

STATEMENT = "CREATE OR REPLACE TEMP TABLE filled AS SELECT range FROM range(1000000)"
"""One that DuckDB looks after signals in."""


class ToldToStop(BaseException):
    """As Prefect raises one when a run is cancelled."""


@pytest.fixture
def stop():
    """Let SIGTERM raise as Prefect does; yield what sends it to this process soon."""

    def handle(_number, _frame):
        raise ToldToStop

    before = signal.signal(signal.SIGTERM, handle)
    timers = []

    def soon():
        timers.append(threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)))
        timers[-1].start()

    yield soon
    for timer in timers:
        timer.join()
    assert signal.getsignal(signal.SIGTERM) is handle
    signal.signal(signal.SIGTERM, before)


def _record(database, at_work):
    with stopping_as_told(), writing(paths_of(database)) as connection:
        connection.execute(STATEMENT)
        at_work()
        while True:
            connection.execute(STATEMENT)


def _compute():
    with stopping_as_told():
        while True:
            pass


def test_a_statement_of_duckdb_does_not_hide_it(stop, tmp_path):
    causes = []
    # It may come between two statements, but hardly each time.
    for number in range(3):
        with pytest.raises(ToldToStop) as found:
            _record(tmp_path / f"{number}.duckdb", stop)
        causes.append(found.value.__cause__)
    assert any(isinstance(cause, KeyboardInterrupt) for cause in causes)


def test_python_code_does_not_hide_it(stop):
    stop()
    with pytest.raises(ToldToStop):
        _compute()


@pytest.mark.usefixtures("stop")
def test_an_interrupt_from_the_keyboard_stays_one():
    with pytest.raises(KeyboardInterrupt), stopping_as_told():
        raise KeyboardInterrupt


def test_elsewhere_than_in_the_main_thread_nothing_is_changed():
    found = []

    def run():
        with stopping_as_told():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
