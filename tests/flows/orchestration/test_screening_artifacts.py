"""What a screening shows when it is over: whole, small enough, and never at the price of the run."""

from __future__ import annotations

import json
import logging

import pytest

from flows.orchestration import screening_artifacts
from flows.orchestration.screening_artifacts import (
    DRAWN,
    FAILURES,
    RANKING,
    SUMMARY,
    pictures_of,
    show_screening,
    show_unfinished,
)
from storage.run_outcome import RunOutcome, run_outcome
from tests.campaigns import Bench, write_bad, write_good

MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def screened(tmp_path_factory, checkpoint):
    bench = Bench(tmp_path_factory.mktemp("screened"), checkpoint)
    write_good(bench.folder, ("lif.cif", "licoo2.cif"))
    write_bad(bench.folder)
    summary = bench.screen(batch_size=4, max_file_mb=0.2)
    return bench, summary


@pytest.fixture
def shown(monkeypatch):
    """Keep what is shown, by its key."""
    found = {}

    def keep(content, *, key, description):
        found[key] = (content, description)

    monkeypatch.setattr(screening_artifacts, "create_markdown_artifact", keep)
    monkeypatch.setattr(screening_artifacts, "create_table_artifact", keep)
    monkeypatch.setattr(screening_artifacts, "get_run_logger", lambda: logging.getLogger("tests.artifacts"))
    return found


def test_ranking_summary_and_failures_are_shown(screened, shown):
    bench, summary = screened
    show_screening(summary)
    assert shown.keys() == {RANKING, SUMMARY, FAILURES}
    ranking, _ = shown[RANKING]
    assert {row["material_id"] for row in ranking if row["rank"]} == {"lif.cif", "licoo2.cif"}
    text, _ = shown[SUMMARY]
    assert "![Materials of this run, the fastest on top](data:image/png;base64," in text
    assert len(json.dumps(text)) < MOST_BYTES
    failures, description = shown[FAILURES]
    reasons = bench.reasons()
    assert {row["reason"] for row in failures} == set(reasons.values())
    assert sum(row["count"] for row in failures) == len(reasons)
    assert f"{len(reasons)} without a result" in description
    assert all(row["what to do"] and row["message of the first"] for row in failures)


def test_a_run_that_an_error_ended_shows_what_it_had_done(screened, shown):
    bench, summary = screened
    show_unfinished(str(bench.database), summary.run_id, OSError("the disk is full\nand more"))
    text, _ = shown[SUMMARY]
    assert "not finished" in text
    assert "the disk is full" in text
    assert "and more" not in text
    assert "2 materials have a barrier so far" in text
    assert shown.keys() == {RANKING, SUMMARY, FAILURES}


def test_a_run_that_had_done_nothing_shows_nothing(screened, shown, tmp_path):
    bench, _ = screened
    show_unfinished(str(tmp_path / "nowhere.duckdb"), "r1", OSError("no"))
    show_unfinished(str(bench.database), "r1", OSError("no"))
    assert shown == {}


def test_an_api_that_fails_costs_a_warning_and_no_run(screened, shown, monkeypatch, caplog):
    _, summary = screened

    def refuse(*_, **__):
        raise ConnectionError("the server is away\nand more")

    monkeypatch.setattr(screening_artifacts, "create_markdown_artifact", refuse)
    show_screening(summary)
    (warning,) = [record for record in caplog.records if record.name == "tests.artifacts"]
    assert warning.levelno == logging.WARNING
    assert warning.getMessage().endswith("and is in its database: the server is away")


def test_of_many_materials_the_best_are_drawn_and_all_are_spread(screened):
    bench, summary = screened
    found = run_outcome(bench.database, summary.run_id, limit=1)
    many = 2 * DRAWN
    ranking = [found.ranking[0] | {"material_id": f"m{k}"} for k in range(many)]
    outcome = RunOutcome(ranking, [(0.1 + 0.01 * k, 1 + k % 3) for k in range(many)], 0, [])
    pictures = pictures_of(outcome)
    assert len(pictures) == 2
    assert sum(map(len, pictures.values())) < MOST_BYTES


def test_without_a_barrier_there_is_no_picture():
    assert pictures_of(RunOutcome([], [], 3, [])) == {}
