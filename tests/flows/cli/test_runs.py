"""`lihop runs` and `lihop db`: what they print and refuse, and a screening that goes on after damage."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from flows.cli import runs
from storage import queries
from storage.recorder import Recorder
from storage.records import Run
from tests.campaigns import Bench, assert_same, write_good

NAMES = ("lif.cif", "licl.cif")


@pytest.fixture
def history(bench, other_checkpoint, monkeypatch):
    """Two runs: the second has a material more and another model."""
    write_good(bench.folder, NAMES[:1])
    first = bench.screen()
    write_good(bench.folder, NAMES)
    second = bench.screen(model=str(other_checkpoint), batch_size=1)
    monkeypatch.setenv("LIHOP_DATABASE", str(bench.database))
    return bench, first.run_id, second.run_id


def test_runs_are_listed_shown_and_compared(lihop, history):
    _, first, second = history
    rows = json.loads(lihop("runs", "list", "--json").out)
    assert [row["run_id"] for row in rows] == [second, first]
    assert second in lihop("runs", "list").out
    card = json.loads(lihop("runs", "show", "--json").out)
    assert (card["run_id"], card["n_ranked"], card["failures_by_reason"]) == (second, 2, {})
    assert card["settings"]["working_ion"] == "Li"
    assert "max_hops" in lihop("runs", "show", first).out
    found = json.loads(lihop("runs", "diff", "--json").out)
    assert (found["first"]["run_id"], found["second"]["run_id"]) == (first, second)
    assert [row["material_id"] for row in found["came"]] == ["licl.cif"]
    (row,) = found["changed"]
    assert row["material_id"] == "lif.cif"
    before, after = row["changes"]["barrier_at_dim_ev"]
    assert before > 0
    assert after > 0
    assert "model_digest" in found["manifest"]
    text = lihop("runs", "diff", first, "latest").out
    assert "Came: 1" in text
    assert "lif.cif" in text


def test_a_wrong_run_is_one_message(lihop, history):
    for command in (("show", "nosuch"), ("diff", "nosuch"), ("delete", "nosuch", "--yes")):
        result = lihop("runs", *command)
        assert (result.code, result.is_one_message) == (2, True)
        assert "there are latest, " in result.err


def test_deleting_asks_first(lihop, history):
    bench, first, second = history
    refused = lihop("runs", "delete", second, "--results")
    assert (refused.code, refused.is_one_message) == (2, True)
    assert "--yes" in refused.err
    assert second in refused.err
    done = json.loads(lihop("runs", "delete", second, "--results", "--yes", "--json").out)
    assert done["runs"] == [second]
    assert done["rows"]["predictions"] > 0
    assert done["shards"] > 0
    assert [row["run_id"] for row in json.loads(lihop("runs", "list", "--json").out)] == [first]
    assert lihop("db", "check").code == 0
    # The first model's results are those of the first run again, and nothing of them is computed anew.
    assert bench.screen().n_reused == 1


def test_what_was_confirmed_is_deleted_whatever_started_since(tmp_path, monkeypatch, capsys):
    recorder = Recorder(tmp_path / "lihop.duckdb")

    def start(run_id):
        empty = dict.fromkeys(("name", "settings_digest", "model_digest", "code_version"), "")
        run = Run(
            run_id=run_id, source="files", working_ion="Li", settings_json="{}", status="completed",
            started_at=datetime.now(UTC), **empty,
        )  # fmt: skip
        recorder.start_run(run)

    start("meant")
    monkeypatch.setattr(runs, "_confirm", lambda _: start("since"))
    runs.delete(["latest"], database=str(recorder.paths.published))
    assert "meant" in capsys.readouterr().out
    assert [row["run_id"] for row in queries.runs(recorder.paths.published)] == ["since"]


def test_a_healthy_database_is_checked_vacuumed_and_kept(lihop, history):
    result = lihop("db", "check", "--json")
    found = json.loads(result.out)
    assert (result.code, {row["ok"] for row in found}, {row["remedy"] for row in found}) == (
        0,
        {True},
        {None},
    )
    schema = lihop("sql", "--schema").out
    done = json.loads(lihop("db", "vacuum", "--json").out)
    assert done["shards_removed"] > 0
    assert done["shard_bytes_after"] < done["shard_bytes_before"]
    assert lihop("sql", "--schema").out == schema
    assert lihop("db", "check").code == 0
    assert "removed" in lihop("db", "vacuum").out
    kept = json.loads(lihop("db", "snapshot", "--json").out)
    (listed,) = json.loads(lihop("db", "snapshot", "--list", "--json").out)
    assert kept["removed"] == []
    assert listed["name"] == kept["name"]
    assert kept["name"] in lihop("db", "snapshot", "--list").out
    refused = lihop("db", "restore")
    assert (refused.code, refused.is_one_message) == (2, True)
    assert "--yes" in refused.err
    assert lihop("db", "snapshot", "--list", "--keep", "2").code == 2
    assert "Kept" in lihop("db", "snapshot", "--keep", "1").out


def test_nothing_is_computed_after_a_vacuum(history, lihop):
    bench, *_ = history
    assert lihop("db", "vacuum").code == 0
    bench.screen()
    assert bench.steps.ran.count("featurize") == 0


def test_damage_is_found_and_a_screening_goes_on_after_it(lihop, bench, tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("LIHOP_DATABASE", str(bench.database))
    write_good(bench.folder, NAMES)
    (tmp_path / "undisturbed").mkdir()
    other = Bench(tmp_path / "undisturbed", checkpoint)
    other.folder = bench.folder
    other.screen()
    bench.screen(limit=1)
    assert lihop("db", "snapshot").code == 0
    bench.screen()
    paths = Recorder(bench.database).paths
    for path in (paths.working, paths.published):
        content = bytearray(path.read_bytes())
        content[12288:] = bytes(len(content) - 12288)
        path.write_bytes(content)
    result = lihop("db", "check", "--json")
    assert result.code == 1
    bad = {row["check"] for row in json.loads(result.out) if not row["ok"]}
    assert bad >= {"working file", "published copy"}
    result = lihop("rank")
    assert (result.code, result.is_one_message) == (2, True)
    assert "lihop db restore latest --db" in result.err
    result = lihop("db", "restore")
    assert result.code == 0, result.err
    assert "What it replaced lies at" in result.out
    assert [row["material_id"] for row in json.loads(lihop("rank", "--json").out)] == ["licl.cif"]
    bench.screen()
    assert_same(bench.tables(), other.tables())
    assert lihop("db", "check").code == 0
