"""A screening of a remote source: synced first, and only what changed in structure computed again."""

from __future__ import annotations

import pytest

from flows.cli.screening import text_of
from flows.sources import REMOTE
from storage import queries
from tasks.candidates.source import EmptySourceError, SourceError
from tasks.reports.artifacts import summary_markdown
from tests.campaigns import GOOD
from tests.remotes import Memory, entry

STRUCTURES = {f"mp-{k}": GOOD[name] for k, name in enumerate(("lif.cif", "licl.cif", "li2o.cif"), start=1)}


@pytest.fixture
def remote(monkeypatch):
    found = Memory({name: entry(name, structure) for name, structure in STRUCTURES.items()})
    monkeypatch.setitem(REMOTE, "mp", lambda query: found)
    return found


@pytest.fixture
def screen(bench, remote):
    def screen(**changes):
        remote.fetched.clear()
        return bench.screen(source="mp", path=None, **changes)

    return screen


def candidates(bench):
    return {row["material_id"]: row for row in queries.candidates(bench.database)}


def test_what_is_synced_is_screened_and_cited(bench, remote, screen):
    remote.aliases = {"mp-1": ("mp-aaaaaab",)}
    done = screen()
    assert (done.n_items, done.n_candidates, done.n_with_result) == (3, 3, 3)
    assert done.database_version == "v1"
    assert done.citation == "A database in memory, version v1"
    (run,) = queries.runs(bench.database)
    assert (run["database_version"], run["citation"]) == ("v1", done.citation)
    rows = candidates(bench)
    assert rows["mp-1"]["other_ids"] == ["mp-aaaaaab"]
    stored = queries.sql(bench.database, "SELECT entry_id, content_hash FROM source_entries").records()
    assert {row["entry_id"]: row["content_hash"] for row in stored} == {
        name: row["content_hash"] for name, row in rows.items()
    }
    for row in rows.values():
        assert (row["source"], row["state"], row["database_version"]) == ("mp", "discharged", "v1")
        assert row["licence"] == "CC-BY-4.0"
        assert row["first_seen_at"] == row["last_seen_at"] is not None
    assert {row["flags"] for row in bench.rankings().values() if row["in_domain"]} <= {None}


def test_nothing_is_done_twice(bench, remote, screen):
    screen()
    before = candidates(bench)
    assert screen().n_computed == 0
    assert (bench.steps.ran, remote.fetched, remote.n_indexed) == ([], [], 1)
    for name, row in candidates(bench).items():
        assert row["first_seen_at"] == before[name]["first_seen_at"]
        assert row["last_seen_at"] > before[name]["last_seen_at"]


def test_a_new_hull_energy_changes_the_row_and_computes_no_hop(bench, remote, screen):
    screen()
    before = bench.tables()
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", STRUCTURES["mp-2"], hull_ev=0.25)
    assert screen().n_computed == 0
    assert (bench.steps.ran, remote.fetched) == (["read"], ["mp-2"])
    row = bench.rankings()["mp-2"]
    assert (row["e_above_hull_ev"], row["database_version"]) == (0.25, "v2")
    assert "more than 0.1 eV above hull" in row["flags"]
    after = bench.tables()
    for table in ("hops", "predictions", "percolation"):
        assert after[table] == before[table]
    assert len(after["candidates"]) == len(before["candidates"]) == 3


def test_a_hull_energy_that_is_taken_back_is_unknown_again(bench, remote, screen):
    screen()
    assert candidates(bench)["mp-2"]["e_above_hull_ev"] == 0.0
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", STRUCTURES["mp-2"], hull_ev=None)
    assert screen().n_computed == 0
    assert candidates(bench)["mp-2"]["e_above_hull_ev"] is None


def test_ids_of_a_material_that_is_no_longer_the_same_go_again(bench, remote, screen):
    remote.aliases = {"mp-1": ("one",), "mp-2": ("two",)}
    remote.entries["mp-2"] = entry("mp-2", STRUCTURES["mp-1"])
    screen()
    assert bench.rankings()["mp-1"]["other_ids"] == ["mp-2", "one", "two"]
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", STRUCTURES["mp-2"])
    for _ in range(2):
        screen()
        rows = bench.rankings()
        assert (rows["mp-1"]["other_ids"], rows["mp-2"]["other_ids"]) == (["one"], ["two"])
        assert all(row["own_ids"] == row["other_ids"] for row in candidates(bench).values())


def test_a_new_structure_alone_is_computed_again(bench, remote, screen):
    screen()
    wider = STRUCTURES["mp-2"].copy()
    wider.scale_lattice(wider.volume * 1.2)
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", wider)
    assert screen().n_computed == 1
    assert sorted(row["material_id"] for row in queries.rankings(bench.database)) == [
        "mp-1", "mp-2", "mp-2", "mp-3",
    ]  # fmt: skip
    old, new = sorted(
        (row for row in queries.rankings(bench.database) if row["material_id"] == "mp-2"),
        key=lambda row: row["database_version"],
    )
    assert "since changed in its source" in old["flags"]
    assert "since changed" not in (new["flags"] or "")


def test_what_vanished_is_flagged_and_screened_no_more(bench, remote, screen):
    screen()
    remote.versions = ["v2"]
    remote.entries.pop("mp-3")
    assert screen().n_candidates == 2
    rows = bench.rankings()
    assert "gone from its source" in rows["mp-3"]["flags"]
    assert rows["mp-3"]["vanished_at"] is not None
    assert rows["mp-1"]["vanished_at"] is None


def test_a_bad_document_is_a_failure_of_the_run(bench, remote, screen):
    remote.malformed = {"mp-3"}
    done = screen()
    assert done.failures == {"malformed_document": 1}
    assert bench.reasons() == {"mp-3": "malformed_document"}
    remote.malformed = set()
    done = screen()
    assert (done.failures, done.n_computed) == ({}, 1)
    assert bench.reasons() == {}


def test_what_was_asked_for_by_id_and_is_not_there_is_told(bench, remote, screen):
    remote.wanted = ("mp-1", "mp-99")
    for changes in ({}, {}, {"sync": False}):
        done = screen(**changes)
        assert (done.not_found, done.failures, done.n_with_result) == (("mp-99",), {"vanished": 1}, 3)
    assert bench.reasons() == {"mp-99": "vanished"}
    assert "(1): mp-99; check these ids" in text_of(done.as_dict())
    assert "not found: mp-99" in summary_markdown(done.as_dict())


def test_ids_that_are_all_missing_are_told(remote, screen):
    remote.entries.clear()
    remote.wanted = ("mp-98", "mp-99")
    for changes in ({}, {"sync": False}):
        with pytest.raises(EmptySourceError, match=r"asked for by id \(2\): mp-98, mp-99; check these ids"):
            screen(**changes)


def test_what_a_sync_that_was_cut_off_did_not_come_to_is_not_missing(remote, screen, monkeypatch):
    remote.wanted, remote.fails_at_fetch = ("mp-1", "mp-2", "mp-3"), 2
    with pytest.raises(SourceError, match="cut"):
        screen()
    messages = []
    monkeypatch.setattr("flows.progress.SilentReporter.message", lambda _self, text: messages.append(text))
    done = screen(sync=False)
    assert (done.n_with_result, done.not_found) == (2, ())
    assert any("Not fetched yet" in text and "(1): mp-3; run `lihop sync" in text for text in messages)


def test_the_store_is_screened_without_looking(remote, screen):
    with pytest.raises(EmptySourceError, match="lihop sync --source mp"):
        screen(sync=False)
    screen()
    remote.versions = ["v2"]
    remote.entries["mp-2"] = entry("mp-2", STRUCTURES["mp-2"], hull_ev=0.25)
    done = screen(sync=False)
    assert (done.n_computed, remote.n_indexed, done.database_version) == (0, 1, "v1")


def test_a_query_of_its_own_is_another_set(remote, screen):
    screen()
    remote.asked = {"working_ion": "Li", "elements": ["O"]}
    with pytest.raises(EmptySourceError, match="nothing of 'mp'"):
        screen(sync=False)


def test_a_source_that_cannot_be_reached_fails_the_run(bench, remote, screen):
    remote.fails_at_fetch = 2
    with pytest.raises(SourceError, match="cut"):
        screen()
    assert [row["status"] for row in queries.runs(bench.database)] == ["failed"]
    assert screen().n_with_result == 3
    assert remote.fetched == ["mp-3"]


def test_a_damaged_content_costs_one_material(bench, remote, screen):
    from flows.stored import StoredSource

    screen()
    item = next(item for item in StoredSource(remote, str(bench.database)).items() if item.item_id == "mp-2")
    (path,) = (bench.database.parent / "lihop.duckdb.work" / "entries").rglob(f"{item.digest}.json")
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    # Another cleaning reads all of it anew.
    done = screen(max_sites=299)
    assert (done.n_with_result, done.failures) == (2, {"unreadable_file": 1})
    path.write_bytes(content)
    assert screen(max_sites=299, retry=("unreadable_file",)).n_with_result == 3
