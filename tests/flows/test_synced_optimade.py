"""A sync of an OPTIMADE database accounts for every entry that the database lists."""

from __future__ import annotations

import pytest

from flows.cli.syncing import text_of
from flows.parameters import ScreenParameters, SyncParameters
from flows.sources import REMOTE
from flows.stored import StoredSource
from flows.sync import sync
from storage import queries
from tasks.candidates.optimade import OptimadeQuery, OptimadeSource
from tests.servers.optimade import document, serving


@pytest.fixture
def server():
    with serving([document(name, 4.0 + k / 10) for k, name in enumerate("abcde")]) as running:
        running.database = {"version": "1"}
        yield running


@pytest.fixture
def source_of(server, monkeypatch):
    def source_of(**asked):
        source = OptimadeSource(OptimadeQuery(base_urls=(server.base_url,), **asked), wait_s=0.001)
        monkeypatch.setitem(REMOTE, "optimade", lambda query: source)
        return source

    return source_of


@pytest.fixture
def database(tmp_path):
    return tmp_path / "lihop.duckdb"


@pytest.fixture
def run(database):
    def run(source, **changes):
        return sync(SyncParameters(source="optimade", database=str(database), **changes), source)

    return run


def failures(database):
    return queries.sql(database, "SELECT material_id, reason, message FROM failures").records()


@pytest.mark.parametrize(("stated", "told"), [(-1, "has 2 more"), (None, "an unstated number of more")])
def test_what_the_limit_leaves_out_is_told_and_recorded(server, source_of, run, database, stated, told):
    server.stated = stated
    source = source_of(max_entries=3)
    (message,) = run(source, dry_run=True).left_out
    assert told in message
    assert "--max-entries 3 leaves out; raise it" in message
    done = run(source)
    assert (done.n_total, done.left_out) == (3, (message,))
    assert message in text_of(done.as_dict())
    (row,) = failures(database)
    assert row == {
        "material_id": server.base_url.removeprefix("http://"), "reason": "limit", "message": message,
    }  # fmt: skip
    # Nothing is looked into again, and it is told all the same.
    again = run(source)
    assert (again.status, again.left_out) == ("up_to_date", (message,))


def test_what_a_limit_left_out_is_forgotten_once_all_of_it_fits(server, source_of, run, database):
    source = source_of(max_entries=3)
    run(source)
    del server.documents[3:]
    server.database = {"version": "2"}
    assert run(source).left_out == ()
    assert failures(database) == []


def test_a_limit_that_is_not_reached_leaves_nothing_out(source_of, run, database):
    assert run(source_of(max_entries=5)).left_out == ()
    assert failures(database) == []


def test_what_a_limit_left_out_is_forgotten_once_it_is_raised(source_of, run, database):
    run(source_of(max_entries=3))
    run(source_of(max_entries=4))
    assert [row["message"].split(" has ")[1][:6] for row in failures(database)] == ["1 more"]
    assert run(source_of(max_entries=5)).left_out == ()
    assert failures(database) == []
    # A limit that is lowered again leaves out what it did.
    (message,) = run(source_of(max_entries=3)).left_out
    assert [row["message"] for row in failures(database)] == [message]


def test_another_querys_limit_stays_its_own(source_of, run, database):
    run(source_of(max_entries=3))
    run(source_of(max_entries=4, max_sites=200))
    assert sorted(row["message"].split(" has ")[1][:6] for row in failures(database)) == ["1 more", "2 more"]


def test_a_screening_has_what_was_left_out_among_its_failures(bench, source_of):
    source_of(max_entries=1)
    for changes in ({}, {"sync": False}):
        assert bench.screen(source="optimade", path=None, **changes).failures == {"limit": 1}


def test_an_undated_entry_that_is_listed_and_not_given_is_recorded(server, source_of, run, database):
    server.documents[1] = document("b", 4.1, last_modified=None)
    server.withheld = {"b"}
    source = source_of()
    done = run(source)
    assert (done.n_total, done.n_new) == (4, 4)
    (row,) = failures(database)
    assert (row["material_id"].rpartition("/")[2], row["reason"]) == ("b", "vanished")
    server.withheld, server.database = set(), {"version": "2"}
    assert (run(source).n_new, failures(database)) == (1, [])
    # What was there and is withheld now is marked and told too.
    server.withheld, server.database = {"b"}, {"version": "3"}
    assert run(source).n_vanished == 1
    assert [row["reason"] for row in failures(database)] == ["vanished"]
    parameters = ScreenParameters(source="optimade", database=str(database))
    items = StoredSource(source, parameters.database).items()
    assert [item.item_id.rpartition("/")[2] for item in items] == ["a", "c", "d", "e"]
