"""The limit of recorders: held by every flow that records, in turns; no run ends for its server's sake."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

import pytest

from flows.orchestration import leases
from flows.orchestration import one_writer as module
from flows.orchestration.names import WRITER
from flows.orchestration.one_writer import limits_writers, one_writer, writing_alone
from flows.parameters import SyncParameters
from flows.progress import reporting
from flows.sync import sync
from storage.database import locked, waiting_at_most, writing
from storage.errors import DatabaseLockedError
from storage.places import paths_of
from tests.campaigns import write_good
from tests.flows.beside_prefect import beside_prefect
from tests.flows.test_turns import Told
from tests.remotes import Memory, entry
from tests.servers.limits import limit_server


@pytest.fixture(scope="module")
def only_server():
    """Return the one server of this file: Prefect keeps a client for it as long as the process lives."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # Prefect's client asks again as often as it usually does, where nobody tells it not to.
    with limit_server(WRITER) as server, temporary_settings({PREFECT_API_URL: server.api}):
        yield server


@pytest.fixture
def server(only_server, monkeypatch):
    monkeypatch.setattr(leases, "LOOK_S", 0.05)
    monkeypatch.setattr(leases, "AWAY_S", 0.2)
    only_server.go()
    only_server.come()
    only_server.free()
    only_server.given.clear()
    only_server.refused.clear()
    only_server.renewed.clear()
    only_server.asked.clear()
    return only_server


@pytest.fixture
def told():
    to = Told()
    with reporting(to):
        yield to


def test_a_recorder_holds_it_and_gives_it_back(server, told):
    with one_writer():
        assert server.lease is not None
    assert server.lease is None
    assert told.messages == []


def test_a_server_without_the_limit_is_known(server, monkeypatch):
    assert limits_writers()
    monkeypatch.setattr(module, "WRITER", "another")
    assert not limits_writers()


def test_a_server_that_is_away_when_a_run_begins_is_asked_again_when_it_records(server, tmp_path, told):
    server.go()
    with writing_alone():
        server.come()
        with locked(paths_of(tmp_path / "lihop.duckdb")):
            assert server.lease is not None
    assert told.messages == []


def test_where_it_cannot_be_asked_the_file_lock_alone_is_held(server, told):
    server.go()
    with one_writer():
        pass
    assert "recording under the file lock" in told.messages[0]


def test_a_server_that_is_started_again_is_waited_for(server, monkeypatch, told):
    monkeypatch.setattr(leases, "AWAY_S", 60.0)
    server.go()
    back = threading.Timer(0.3, server.come)
    back.start()
    with one_writer():
        assert server.lease is not None
    back.join()
    assert told.messages == []


def test_a_long_transaction_keeps_its_place(server, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 0.3)
    with one_writer():
        assert server.renewed.wait(60)
        server.renewed.clear()
        assert server.renewed.wait(60)


def test_a_renewal_that_hangs_holds_up_no_end(server, monkeypatch, told):
    from prefect.client.orchestration import get_client

    monkeypatch.setattr(leases, "LEASE_S", 0.3)
    monkeypatch.setattr(leases, "LEAVE_S", 0.01)

    def patient(_answer_s):
        """Whoever waited for this client's answer would wait for longer than a test may take."""
        return get_client(sync_client=True, httpx_settings={"timeout": 3600.0})

    monkeypatch.setattr(leases, "_client", patient)
    with server.hanging("/leases/"):
        with one_writer():
            assert server.renewed.wait(60)
        assert server.lease is None
        assert told.messages == []


def test_a_server_that_hangs_holds_up_no_end(server, told):
    with server.hanging("decrement"), one_writer():
        pass
    # Its place is free when the lease runs out.
    assert server.lease is not None
    assert "could not be given back (ReadTimeout)" in told.messages[0]
    assert server.asked == ["increment-with-lease", "decrement-with-lease"]


def test_a_server_that_hangs_holds_up_no_beginning(server, monkeypatch, told):
    monkeypatch.setattr(leases, "ANSWER_S", 1.0)
    with server.hanging("increment"), one_writer():
        pass
    assert "could not be held (ReadTimeout)" in told.messages[0]
    assert server.asked == ["increment-with-lease"]


def test_a_server_that_is_away_is_waited_for_once(server, monkeypatch, tmp_path, told):
    paths = paths_of(tmp_path / "lihop.duckdb")
    with writing_alone():
        server.go()
        with locked(paths):
            pass
        # What comes after it does not wait at all, or this test would not end.
        monkeypatch.setattr(leases, "AWAY_S", 3600.0)
        for _ in range(3):
            with locked(paths):
                pass
        assert len(told.messages) == 4
        server.come()
        with locked(paths):
            assert server.lease is not None
    assert len(told.messages) == 4


def test_a_place_that_was_lost_is_told_of(server, monkeypatch, told):
    monkeypatch.setattr(leases, "LEASE_S", 0.3)
    with one_writer():
        server.free()
        other = server.take()
        while not told.messages:
            assert server.renewed.wait(60)
    assert "was lost" in told.messages[0]
    assert "recording under the file lock" in told.messages[0]
    # And that of another is not given back.
    assert server.lease == other
    assert len(told.messages) == 1


def test_who_waits_logs_no_errors(server, caplog):
    server.take()
    with pytest.raises(DatabaseLockedError), one_writer(0.3):
        raise AssertionError("it was held")
    assert server.refused.is_set()
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


def test_two_recorders_take_turns(server, tmp_path):
    """Each at a database of its own, so that no file lock has a part in it."""
    at_work, most = [], []

    def record(number):
        paths = paths_of(tmp_path / f"{number}.duckdb")
        with writing_alone():
            for _ in range(5):
                with writing(paths) as connection:
                    at_work.append(number)
                    connection.execute("SELECT sum(range) FROM range(3000000)").fetchall()
                    most.append(len(at_work))
                    at_work.remove(number)

    with ThreadPoolExecutor(2) as threads:
        # Prefect finds the address of the server in the context.
        for done in [threads.submit(copy_context().run, record, number) for number in range(2)]:
            done.result(60)
    assert most == [1] * 10
    assert len(server.given) == 10


def test_who_waits_for_others_keeps_nobody_from_the_database(server, tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    recorded = threading.Event()

    def record():
        with writing_alone(), locked(paths):
            recorded.set()

    server.take()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(copy_context().run, record)
        assert server.refused.wait(60)
        try:
            with locked(paths, wait_s=0.0):
                assert not recorded.is_set()
        finally:
            server.free()
        waiting.result(60)
    assert recorded.is_set()


def test_others_that_hold_it_for_too_long_are_named(server, tmp_path):
    server.take()
    with (
        writing_alone(),
        waiting_at_most(0.2),
        pytest.raises(DatabaseLockedError, match=f"others hold the limit {WRITER}"),
        locked(paths_of(tmp_path / "lihop.duckdb")),
    ):
        raise AssertionError("it was recorded")


def test_a_server_that_goes_away_meanwhile_ends_no_run(server, told):
    with one_writer():
        server.go()
    assert "could not be given back (ConnectError)" in told.messages[0]
    server.come()
    server.free()
    with one_writer():
        assert server.lease is not None
    assert len(told.messages) == 1


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_the_body_raises_comes_out_of_it(server, told, error):
    def body():
        with one_writer():
            server.go()
            raise error

    with pytest.raises(type(error)) as found:
        body()
    assert found.value is error
    assert "could not be given back" in told.messages[0]


class Guarded:
    """Counts how often the limit is held instead of asking a server."""

    def __init__(self) -> None:
        self.times = 0

    @contextmanager
    def __call__(self, _wait_s, desk=None):
        self.times += 1
        yield


@pytest.fixture
def guarded(monkeypatch):
    guard = Guarded()
    monkeypatch.setattr(module, "limits_writers", lambda: True)
    monkeypatch.setattr(module, "one_writer", guard)
    return guard


def test_a_screening_holds_it_when_it_records(bench, monkeypatch, guarded):
    from flows import screen

    write_good(bench.folder, ("lif.cif",))
    beside_prefect(monkeypatch, screen)
    screen.screen_cathodes.fn(bench.parameters(runner="thread", paths="straight"))
    # More than the start, the end and the copy of a run.
    assert guarded.times > 3


def test_a_sync_holds_it_when_it_records(tmp_path, monkeypatch, guarded):
    from flows import sync_flow

    remote = Memory({"mp-1": entry("mp-1")})
    beside_prefect(monkeypatch, sync_flow)
    monkeypatch.setattr(sync_flow, "sync", lambda parameters: sync(parameters, remote))
    sync_flow.sync_candidates.fn(SyncParameters(database=str(tmp_path / "lihop.duckdb")))
    assert guarded.times > 3
