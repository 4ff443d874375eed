"""Going on with a run: under its identifier and its settings, with nothing computed twice."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from flows import computing
from flows.campaign import screen
from flows.naming import run_id_of
from flows.parameters import ScreenParameters
from flows.resuming import ResumeError, anchored, resumed
from flows.run_names import run_name
from storage import queries
from storage.errors import QueryError
from storage.places import paths_of
from tests.campaigns import GOOD, Bench, assert_same, tables, write_good
from tests.flows.beside_prefect import beside_prefect
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


@pytest.fixture
def cut_off_here(tmp_path, checkpoint, monkeypatch):
    """Return a bench with a run of relative paths that was cut off, and the database of one that was not."""
    (tmp_path / "absolute").mkdir()
    whole, bench = Bench(tmp_path / "absolute", checkpoint), Bench(tmp_path, checkpoint)
    whole.folder = write_good(bench.folder, ("lif.cif",))
    whole.screen(paths="straight")
    monkeypatch.chdir(bench.folder.parent)
    model = os.path.relpath(checkpoint)
    with monkeypatch.context() as during:
        during.setattr(computing.Pass, "_predicted", stop(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            bench.screen(paths="straight", path="structures", model=model)
    (run,) = queries.runs(bench.database)
    return bench, run["run_id"], whole.database


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


def _manifest(database, run_id, content):
    folder = paths_of(database).manifests
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{run_id}.json").write_text(json.dumps(content))


def test_latest_is_the_one_that_started_last(tmp_path):
    """The identifier of a run that was scheduled tells when that was done."""
    settings = ScreenParameters().deciding()
    database = tmp_path / "x.duckdb"
    _manifest(database, "20261103T000000-a", {"settings": settings, "started_at": "2026-11-03T00:00:00Z"})
    _manifest(
        database, "20261101T000000-b", {"settings": settings, "started_at": "2026-11-05T00:00:00.000001Z"}
    )
    _manifest(database, "20261102T000000-c", {"settings": settings, "started_at": "2026-11-05T00:00:00Z"})
    _manifest(database, "20261109T000000-d", {})
    found = [
        resumed(ScreenParameters(database=str(database), resume=name))[1] for name in ("latest", "20261102")
    ]
    assert found == ["20261101T000000-b", "20261102T000000-c"]


def test_latest_is_made_out_once(cut_off_here, monkeypatch):
    """A run that starts a moment later is not the one that was meant."""
    from flows import screen as flow

    bench, run, _ = cut_off_here

    def another_starts():
        later = json.loads((paths_of(bench.database).manifests / f"{run}.json").read_text())
        _manifest(bench.database, "later", later | {"started_at": "2999-01-01T00:00:00Z"})
        return nullcontext()

    beside_prefect(monkeypatch, flow)
    monkeypatch.setattr(flow, "writing_alone", another_starts)
    done = flow.screen_cathodes.fn(
        ScreenParameters(database=str(bench.database), resume="latest", runner="thread")
    )
    assert done["run_id"] == run
    assert resumed(ScreenParameters(database=str(bench.database), resume="latest"))[1] == "later"


def test_a_run_of_a_relative_path_is_gone_on_with_from_elsewhere(cut_off_here, tmp_path, monkeypatch):
    bench, run, absolute = cut_off_here
    monkeypatch.chdir(tmp_path.parent)
    asked = ScreenParameters(database=str(bench.database), resume=run)
    found, _ = resumed(asked)
    assert found.path == str(bench.folder)
    assert Path(found.model).is_absolute()
    assert Path(found.model).samefile(bench.checkpoint)
    assert screen(asked).n_with_result == 1
    assert_same(tables(bench.database), tables(absolute))


def test_a_run_of_a_relative_path_may_be_told_it_again(cut_off_here, tmp_path, monkeypatch):
    bench, run, _ = cut_off_here
    again = ScreenParameters(
        database=str(bench.database),
        resume=run,
        source="files",
        path="structures",
        model=os.path.relpath(bench.checkpoint),
    )
    assert resumed(again)[1] == run
    # Elsewhere the same words mean another folder.
    (tmp_path / "elsewhere" / "structures").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ResumeError, match=r"path was '/.*', is 'structures'"):
        resumed(again.model_copy(update={"model": str(bench.checkpoint)}))


def test_what_is_shipped_or_is_not_there_stays_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "production").mkdir()
    asked = ScreenParameters(source="files", path="nowhere")
    assert anchored(asked) == asked
    assert anchored(asked.model_copy(update={"model": "nothing"})).model == "nothing"


def test_what_goes_on_is_called_so():
    assert run_name(ScreenParameters(resume="r1")) == "resume r1"


def test_each_attempt_of_a_flow_run_is_one_run():
    from datetime import UTC, datetime
    from uuid import UUID

    identifier = UUID("01a226aa-a58b-7b49-b0ee-3954d1e24b4a")
    found = run_id_of(datetime(2026, 11, 29, 9, 37, 27, 441152, tzinfo=UTC), identifier)
    assert found == "20261129T093727-d1e24b4a"
