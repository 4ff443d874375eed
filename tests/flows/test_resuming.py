"""Going on with a run: under its identifier and its settings, with nothing computed twice."""

from __future__ import annotations

import json

import pytest

from flows import computing
from flows.campaign import screen
from flows.naming import run_id_of
from flows.parameters import ScreenParameters
from flows.resuming import ResumeError, resumed
from flows.run_names import run_name
from storage import queries
from storage.errors import QueryError
from storage.places import paths_of
from tests.campaigns import GOOD, assert_same, tables, write_good
from tests.flows.test_unfinished_runs import stop


@pytest.fixture
def cut_off(bench, monkeypatch):
    """Return a bench with a run that was interrupted before any barrier, and the run's identifier."""
    write_good(bench.folder)
    with monkeypatch.context() as during:
        during.setattr(computing.Pass, "_predicted", stop(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            bench.screen()
    (run,) = queries.runs(bench.database)
    assert run["status"] == "failed"
    return bench, run["run_id"]


@pytest.mark.parametrize(
    "named", [lambda run: run, lambda run: run[:8], lambda _: "latest"], ids=["whole", "part", "latest"]
)
def test_it_ends_as_what_was_never_cut_off(cut_off, tmp_path_factory, named):
    bench, run = cut_off
    summary = screen(ScreenParameters(database=str(bench.database), resume=named(run)))
    assert (summary.run_id, summary.n_with_result) == (run, len(GOOD))
    assert [(row["run_id"], row["status"]) for row in queries.runs(bench.database)] == [(run, "completed")]


def test_its_tables_are_those_of_an_undisturbed_run(cut_off, tmp_path, checkpoint):
    bench, run = cut_off
    screen(ScreenParameters(database=str(bench.database), resume=run, workers=1, batch_size=1))
    (tmp_path / "other").mkdir()
    undisturbed = type(bench)(tmp_path / "other", checkpoint)
    undisturbed.folder = bench.folder
    undisturbed.screen()
    assert_same(tables(bench.database), tables(undisturbed.database))


def test_what_decides_comes_from_the_run_and_the_rest_from_who_asks(cut_off):
    bench, run = cut_off
    found, identifier = resumed(
        ScreenParameters(database=str(bench.database), resume=run, workers=7, batch_size=3)
    )
    assert identifier == run
    assert (found.source, found.path, found.resume) == ("files", str(bench.folder), None)
    assert (found.workers, found.batch_size) == (7, 3)


def test_other_settings_are_refused_by_their_names(cut_off):
    bench, run = cut_off
    with pytest.raises(ResumeError, match=r"limit was None, is 3; max_hops was \d+, is 7\. Leave these out"):
        resumed(ScreenParameters(database=str(bench.database), resume=run, limit=3, max_hops=7))


def test_a_query_comes_back(tmp_path):
    asked = ScreenParameters(source="mp", mp={"elements": ("Mn",)}, database=str(tmp_path / "x.duckdb"))
    folder = paths_of(asked.database).manifests
    folder.mkdir(parents=True)
    (folder / "r1.json").write_text(json.dumps({"settings": asked.deciding()}))
    found, _ = resumed(ScreenParameters(database=asked.database, resume="r1"))
    assert found.digest() == asked.digest()
    assert found.mp.elements == ("Mn",)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"settings": 3}'])
def test_a_manifest_that_is_none_is_told(tmp_path, content):
    folder = paths_of(tmp_path / "x.duckdb").manifests
    folder.mkdir(parents=True)
    (folder / "r1.json").write_text(content)
    with pytest.raises(ResumeError, match=r"r1\.json cannot be read"):
        resumed(ScreenParameters(database=str(tmp_path / "x.duckdb"), resume="r1"))


def test_settings_of_another_version_are_told(tmp_path):
    folder = paths_of(tmp_path / "x.duckdb").manifests
    folder.mkdir(parents=True)
    (folder / "r1.json").write_text('{"settings": {"source": "moon"}}')
    with pytest.raises(ResumeError, match="another version of lihop"):
        resumed(ScreenParameters(database=str(tmp_path / "x.duckdb"), resume="r1"))


def test_a_run_that_is_not_there_is_told(tmp_path):
    with pytest.raises(QueryError, match="there is no run 'r9'"):
        resumed(ScreenParameters(database=str(tmp_path / "x.duckdb"), resume="r9"))


def test_what_goes_on_is_called_so():
    assert run_name(ScreenParameters(resume="r1")) == "resume r1"


def test_each_attempt_of_a_flow_run_is_one_run():
    from datetime import UTC, datetime
    from uuid import UUID

    identifier = UUID("01a226aa-a58b-7b49-b0ee-3954d1e24b4a")
    found = run_id_of(datetime(2026, 11, 29, 9, 37, 27, 441152, tzinfo=UTC), identifier)
    assert found == "20261129T093727-d1e24b4a"
