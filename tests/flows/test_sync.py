"""A sync fetches what is new or changed and nothing else, loses nothing, and goes on where it was cut off."""

from __future__ import annotations

import json
from dataclasses import replace

import duckdb
import pytest

from flows.parameters import SyncParameters
from flows.pulling import entry_key
from flows.stored import StoredSource
from flows.sync import DatabaseMovedError, sync
from storage import queries
from storage.entries import content_path, read_content
from storage.errors import CorruptContentError
from storage.recorder import Recorder
from storage.records import Failure
from tasks.candidates.entries import content_digest, content_text
from tasks.candidates.source import SourceError
from tests.remotes import Memory, entry

NAMES = [f"mp-{k}" for k in range(1, 8)]


@pytest.fixture
def remote():
    return Memory({name: entry(name) for name in NAMES})


@pytest.fixture
def database(tmp_path):
    return tmp_path / "db" / "lihop.duckdb"


@pytest.fixture
def run(remote, database):
    def run(**changes):
        remote.fetched.clear()
        return sync(SyncParameters(database=str(database), **changes), remote)

    return run


def rows(database, table):
    return queries.sql(database, f"FROM {table} ORDER BY ALL").records()


def entries(database):
    return {row["entry_id"]: row for row in rows(database, "source_entries")}


def failures(database):
    return {row["material_id"]: row["reason"] for row in rows(database, "failures")}


def counts(summary):
    return {
        name.removeprefix("n_"): value
        for name, value in summary.as_dict().items()
        if name.startswith("n_") and value
    }


def test_a_first_sync_stores_everything(run, remote, database):
    done = run()
    assert (done.status, done.database_version) == ("completed", "v1")
    assert counts(done) == {"total": 7, "new": 7, "fetched": 7}
    assert remote.fetched == NAMES
    folder = Recorder(database).paths.entries
    for name, row in entries(database).items():
        assert json.loads(read_content(folder, "mp", row["content_hash"])) == entry(name)
        assert row["content_hash"] == content_digest(entry(name))
        assert (row["licence"], row["database_version"]) == ("CC-BY-4.0", "v1")
        assert row["vanished_at"] is None
    (made,) = rows(database, "syncs")
    assert (made["status"], made["n_total"], made["citation"]) == ("completed", 7, done.citation)
    assert json.loads(made["query_json"]) == {"working_ion": "Li"}


def test_an_unchanged_version_is_not_looked_into(run, remote, database):
    run()
    before = rows(database, "syncs")
    done = run()
    assert done.status == "up_to_date"
    assert counts(done) == {"total": 7, "unchanged": 7}
    assert (remote.n_indexed, remote.fetched) == (1, [])
    assert rows(database, "syncs") == before
    assert done.sync_id == before[0]["sync_id"]


def test_what_was_gone_and_is_back_as_it_was_is_no_failure_any_more(run, remote, database):
    run()
    remote.versions, remote.withheld = ["v2"], {"mp-3"}
    remote.entries["mp-3"] = entry("mp-3", hull_ev=0.2)
    run()
    assert failures(database) == {"mp-3": "vanished"}
    remote.versions, remote.withheld = ["v3"], set()
    remote.entries["mp-3"] = entry("mp-3")
    run()
    assert failures(database) == {}
    assert entries(database)["mp-3"]["vanished_at"] is None


def test_what_another_query_may_have_left_there_is_looked_into(run, remote, database):
    run()
    narrower = {"working_ion": "Li", "voltage_max_v": 3.0}
    remote.asked, remote.entries["mp-3"] = narrower, entry("mp-3", hull_ev=0.2)
    assert run().status == "completed"
    remote.asked, remote.entries["mp-3"] = {"working_ion": "Li"}, entry("mp-3")
    assert counts(run()) == {"total": 7, "changed": 1, "unchanged": 6, "fetched": 1}
    assert entries(database)["mp-3"]["content_hash"] == content_digest(entry("mp-3"))
    assert run().status == "up_to_date"


def test_a_query_goes_by_what_it_was_synced_with(run, remote, database):
    def stored():
        return {item.item_id: item.digest for item in StoredSource(remote, str(database)).items()}

    def version():
        found = {item.item_id: item.location for item in StoredSource(remote, str(database)).items()}
        return json.loads(found["mp-3"])["version"]

    wider, narrower = {"working_ion": "Li"}, {"working_ion": "Li", "voltage_max_v": 3.0}
    first, second = entry("mp-3"), entry("mp-3", hull_ev=0.2)
    run()
    remote.asked, remote.entries["mp-3"] = narrower, second
    run()
    assert (stored()["mp-3"], version()) == (content_digest(second), "v1")
    remote.asked = wider
    # Of which version its content was is not kept, and another's is not taken for it.
    assert (stored()["mp-3"], version()) == (content_digest(first), None)
    # Also where the query's own document can no longer be used.
    remote.versions, remote.malformed = ["v2"], {"mp-3"}
    remote.entries["mp-3"] = entry("mp-3", hull_ev=0.4)
    run()
    assert stored()["mp-3"] == content_digest(first)
    # Once synced it is what is there now, fetched by this query or found as another left it.
    remote.versions, remote.malformed, remote.entries["mp-3"] = ["v3"], set(), second
    run()
    assert stored()["mp-3"] == content_digest(second)


@pytest.mark.parametrize("versions", [["v2"], [None]])
def test_a_second_sync_fetches_nothing_of_what_stayed(run, remote, database, versions):
    run()
    before = entries(database)
    remote.versions = versions
    assert counts(run()) == {"total": 7, "unchanged": 7}
    assert remote.fetched == []
    for name, row in entries(database).items():
        assert row["last_seen_at"] > before[name]["last_seen_at"]
        for same in ("first_seen_at", "changed_at", "content_hash", "database_version"):
            assert row[same] == before[name][same]


def test_refreshing_looks_into_an_unchanged_version(run, remote):
    run()
    remote.entries["mp-3"] = entry("mp-3", hull_ev=0.2)
    assert run().status == "up_to_date"
    assert counts(run(refresh=True)) == {"total": 7, "changed": 1, "unchanged": 6, "fetched": 1}


def test_only_what_changed_is_fetched(run, remote, database):
    run()
    before = entries(database)
    remote.versions = ["v2"]
    remote.entries |= {"mp-3": entry("mp-3", hull_ev=0.2), "mp-9": entry("mp-9")}
    assert counts(run()) == {"total": 8, "new": 1, "changed": 1, "unchanged": 6, "fetched": 2}
    assert sorted(remote.fetched) == ["mp-3", "mp-9"]
    after = entries(database)
    assert after["mp-3"]["changed_at"] > after["mp-3"]["first_seen_at"] == before["mp-3"]["first_seen_at"]
    assert after["mp-3"]["database_version"] == "v2"
    assert after["mp-3"]["content_hash"] == content_digest(remote.entries["mp-3"])


def test_what_vanished_is_marked_and_comes_back(run, remote, database):
    run()
    gone = remote.entries.pop("mp-5")
    remote.versions = ["v2"]
    assert counts(run()) == {"total": 6, "unchanged": 6, "vanished": 1}
    assert [name for name, row in entries(database).items() if row["vanished_at"]] == ["mp-5"]
    members = {row["entry_id"]: row["vanished_at"] for row in rows(database, "source_members")}
    assert members.pop("mp-5") is not None
    assert set(members.values()) == {None}
    remote.entries["mp-5"] = gone
    remote.versions = ["v3"]
    assert counts(run()) == {"total": 7, "unchanged": 7}
    assert remote.fetched == []
    assert entries(database)["mp-5"]["vanished_at"] is None


def test_an_entry_that_another_query_selects_has_not_vanished(run, remote, database):
    run()
    remote.asked = {"working_ion": "Li", "elements": ["O"]}
    assert counts(run()) == {"total": 7, "unchanged": 7}
    assert remote.fetched == []
    remote.entries.pop("mp-5")
    remote.versions = ["v2"]
    assert run().n_vanished == 1
    assert entries(database)["mp-5"]["vanished_at"] is None
    remote.asked = {"working_ion": "Li"}
    assert run().n_vanished == 1
    assert entries(database)["mp-5"]["vanished_at"] is not None


def test_why_an_entry_cannot_be_used_is_told_while_a_query_selects_it(run, remote, database):
    wider, narrower = {"working_ion": "Li"}, {"working_ion": "Li", "elements": ["O"]}
    remote.malformed = {"mp-2"}
    run()
    remote.asked = narrower
    run()
    # The narrower query loses it; the wider one was not asked again.
    remote.versions = ["v2"]
    remote.entries.pop("mp-2")
    assert run().n_vanished == 1
    assert failures(database) == {"mp-2": "malformed_document"}
    remote.asked = wider
    assert run().n_vanished == 1
    assert failures(database) == {}
    assert entries(database)["mp-2"]["vanished_at"] is not None


def test_what_is_removed_between_index_and_fetch_is_told(run, remote, database):
    remote.withheld = {"mp-4"}
    assert counts(run()) == {"total": 6, "new": 6, "fetched": 6}
    assert failures(database) == {"mp-4": "vanished"}
    assert "mp-4" not in entries(database)


@pytest.mark.parametrize("how", ["malformed", "malformed_in_index", "unanswered"])
def test_a_bad_document_costs_no_other_and_heals(run, remote, database, how):
    setattr(remote, how, {"mp-2"})
    assert counts(run()) == {"total": 7, "new": 6, "quarantined": 1, "fetched": 6}
    assert failures(database) == {"mp-2": "malformed_document"}
    assert entries(database)["mp-2"]["content_hash"] is None
    # It is tried again although the version is the same, and nothing else is.
    setattr(remote, how, set())
    assert counts(run()) == {"total": 7, "new": 1, "unchanged": 6, "fetched": 1}
    assert remote.fetched == ["mp-2"]
    assert failures(database) == {}
    assert run().status == "up_to_date"


@pytest.mark.parametrize("how", ["malformed", "malformed_in_index"])
def test_a_document_that_turns_bad_stays_as_it_was(run, remote, database, how):
    run()
    good = entries(database)["mp-2"]["content_hash"]
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", hull_ev=0.3)
    setattr(remote, how, {"mp-2"})
    assert counts(run()) == {"total": 7, "unchanged": 6, "quarantined": 1}
    row = entries(database)["mp-2"]
    assert (row["content_hash"], row["vanished_at"]) == (good, None)
    assert failures(database) == {"mp-2": "malformed_document"}
    remote.entries.pop("mp-2")
    remote.versions = ["v3"]
    assert run().n_vanished == 1
    assert failures(database) == {}


def test_a_dry_run_says_what_would_change_and_writes_nothing(run, remote, database):
    done = run(dry_run=True)
    assert (done.status, done.new, done.sync_id) == ("dry_run", tuple(NAMES), None)
    assert not database.parent.exists()
    run()
    remote.versions = ["v2"]
    remote.entries |= {"mp-3": entry("mp-3", hull_ev=0.2), "mp-9": entry("mp-9")}
    remote.entries.pop("mp-1")
    before = {table: rows(database, table) for table in ("syncs", "source_entries", "source_members")}
    done = run(dry_run=True)
    assert (done.new, done.changed, done.vanished) == (("mp-9",), ("mp-3",), ("mp-1",))
    assert remote.fetched == []
    assert counts(done) == {"total": 7, "new": 1, "changed": 1, "unchanged": 5, "vanished": 1}
    Recorder(database).publish()
    assert {table: rows(database, table) for table in before} == before
    done = run()
    assert counts(done) == {"total": 7, "new": 1, "changed": 1, "unchanged": 5, "vanished": 1, "fetched": 2}
    assert run(dry_run=True).n_unchanged == 7


def test_a_version_that_moves_once_is_followed(run, remote, database):
    remote.versions = ["v1", "v2"]
    done = run()
    assert (done.status, done.database_version, remote.n_indexed) == ("completed", "v2", 2)
    assert counts(done) == {"total": 7, "new": 7, "fetched": 7}
    assert remote.fetched == NAMES
    (made,) = rows(database, "syncs")
    assert made["database_version"] == "v2"
    assert "v2" in made["citation"]
    assert run().status == "up_to_date"


def test_a_version_that_keeps_moving_is_an_error_and_loses_nothing(run, remote, database):
    remote.versions = ["v1", "v2", "v3"]
    with pytest.raises(DatabaseMovedError, match=r"from version v2 to v3.*kept"):
        run()
    assert rows(database, "syncs")[0]["status"] == "failed"
    assert len(entries(database)) == 7
    assert counts(run()) == {"total": 7, "unchanged": 7}
    assert remote.fetched == []


def test_a_failure_in_the_middle_goes_on_where_it_was(run, remote, database):
    remote.fails_at_fetch = 3
    with pytest.raises(SourceError, match="cut"):
        run()
    assert set(entries(database)) == set(NAMES[:4])
    (failed,) = rows(database, "syncs")
    assert (failed["status"], failed["n_new"]) == ("failed", 4)
    done = run()
    assert remote.fetched == NAMES[4:]
    assert counts(done) == {"total": 7, "new": 3, "unchanged": 4, "fetched": 3}
    assert sorted(row["status"] for row in rows(database, "syncs")) == ["completed", "failed"]


def test_what_is_named_and_not_there_is_told_each_time(run, remote, database):
    remote.wanted = ("mp-1", "mp-99", "mp-98")
    done = run(dry_run=True)
    assert (done.n_not_found, done.not_found, done.new) == (2, ("mp-98", "mp-99"), tuple(NAMES))
    done = run()
    assert counts(done) == {"total": 7, "new": 7, "fetched": 7, "not_found": 2}
    assert done.not_found == ("mp-98", "mp-99")
    assert failures(database) == {"mp-98": "vanished", "mp-99": "vanished"}
    assert all("check the id" in row["message"] for row in rows(database, "failures"))
    done = run()
    assert (done.status, done.not_found) == ("up_to_date", ("mp-98", "mp-99"))
    remote.versions, remote.entries["mp-99"] = ["v2"], entry("mp-99")
    assert run().not_found == ("mp-98",)
    assert failures(database) == {"mp-98": "vanished"}
    remote.versions = ["v3"]
    remote.entries.pop("mp-99")
    done = run(dry_run=True)
    assert (done.not_found, done.vanished, done.changed) == (("mp-98", "mp-99"), ("mp-99",), ())
    done = run()
    assert (done.not_found, done.n_vanished) == (("mp-98", "mp-99"), 1)


def test_an_index_that_missed_what_is_there_loses_nothing(run, remote, database):
    remote.wanted = ("mp-3",)
    index = remote.index

    def missing_one():
        for page in index():
            yield replace(page, entries=tuple(replace(one, absent=True) for one in page.entries))

    remote.index = missing_one
    assert counts(run()) == {"total": 7, "new": 7, "fetched": 7}
    assert failures(database) == {}


def test_spellings_of_one_identifier_are_kept_as_aliases(run, remote, database):
    remote.aliases = {"mp-1": ("mp-aaaaaab",)}
    remote.twice = {"mp-1": ("mvc-1",)}
    assert run().n_total == 7
    assert entries(database)["mp-1"]["aliases"] == ["mp-aaaaaab", "mvc-1"]


def test_a_lost_content_is_fetched_again(run, remote, database):
    run()
    folder = Recorder(database).paths.entries
    content_path(folder, "mp", entries(database)["mp-6"]["content_hash"]).unlink()
    assert run(refresh=True).n_fetched == 1
    assert remote.fetched == ["mp-6"]


def test_a_damaged_content_is_not_taken_for_what_was_written(run, database):
    run()
    folder = Recorder(database).paths.entries
    digest = entries(database)["mp-6"]["content_hash"]
    path = content_path(folder, "mp", digest)
    assert path.read_text() == content_text(entry("mp-6"))
    path.write_text(path.read_text().replace("0.0", "0.1"))
    with pytest.raises(CorruptContentError, match="lihop sync --source mp --refresh"):
        read_content(folder, "mp", digest)
    path.unlink()
    with pytest.raises(CorruptContentError, match="cannot be read"):
        read_content(folder, "mp", digest)


def test_failures_of_a_sync_stand_under_the_entrys_key(run, remote, database):
    remote.malformed = {"mp-2"}
    run()
    (row,) = Recorder(database).rows_under(Failure, [entry_key("mp", "mp-2")])
    assert (row.material_id, row.source, row.working_ion, row.message) == (
        "mp-2", "mp", "Li", "mp-2 has no structure",
    )  # fmt: skip


def test_the_published_copy_holds_it(run, database):
    run()
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM source_entries").fetchone() == (7,)


def test_a_document_that_cannot_be_used_beside_one_that_can_is_told(run, remote, database, monkeypatch):
    def with_another_document(self):
        for page in listed(self):
            names = {one.entry_id for one in page.entries}
            wrong = [self._bad(name) for name in self.malformed_beside if name in names]
            yield replace(page, quarantined=(*page.quarantined, *wrong))

    listed = Memory.index
    monkeypatch.setattr(Memory, "index", with_another_document)
    remote.malformed_beside = {"mp-3"}
    found = run()
    assert (found.n_total, found.n_quarantined, found.n_fetched) == (7, 0, 7)
    assert failures(database) == {"mp-3": "malformed_document"}
    assert entries(database)["mp-3"]["content_hash"] is not None
    # It stays told while it is so, also where nothing is fetched, and goes when it is mended.
    assert run(refresh=True).n_fetched == 0
    assert failures(database) == {"mp-3": "malformed_document"}
    remote.malformed_beside = set()
    run(refresh=True)
    assert failures(database) == {}
