"""Every statement of docs/questions.md runs, is answered, and has below it what it asks for."""

from pathlib import Path

import pytest

from storage import queries
from storage.recorder import Recorder
from storage.records import Reason
from tests.storage.question_page import answered, questions

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
QUESTIONS = questions(PAGE.read_text(encoding="utf-8"))
VIEWS = {
    "rankings", "pareto_front", "hop_methods", "rate_limiting_hops", "hop_rates", "diffusivities",
    "outside_domain", "method_disagreements", "run_changes", "run_results", "failure_summary", "run_summary",
}  # fmt: skip


@pytest.fixture(scope="module")
def db(tmp_path_factory, make):
    """Return a database where there is something to answer to every question."""
    name = "ref-lifepo4"
    failure = make.failure("refused", reason=Reason.PARTIAL_OCCUPANCY)
    recorder = Recorder(tmp_path_factory.mktemp("asked") / "lihop.duckdb")
    recorder.record(
        rows=[
            make.run("r1", day=0, status="completed"), make.run("r2", day=1, status="completed"),
            make.candidate(name), make.hop(name, 1), make.run_material("r1", name),
            make.prediction(name, 1, 0.3), make.percolation(name, 0.3),
            make.run_material("r2", name, prediction_stage_key="prediction-2",
                              percolation_stage_key="percolation-2"),
            make.prediction(name, 1, 0.4, stage_key="prediction-2", model_digest="model-b", in_domain=False),
            make.percolation(name, 0.4, stage_key="percolation-2", percolation_dim=2, in_domain=True,
                             limiting_edge_2d=f"{name}_0_1_0_1_0"),
            failure, make.run_failure(failure, "r2"),
        ]
    )  # fmt: skip
    recorder.publish()
    return recorder.paths.published


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_every_statement_of_the_page_is_answered(db, question):
    answer = queries.sql(db, question.sql)
    assert answer.rows
    assert question.columns == answer.columns


def test_the_page_asks_every_view():
    asked = " ".join(question.sql for question in QUESTIONS)
    assert {view for view in VIEWS if f"FROM {view}" not in asked} == set()


def test_answers_are_written_below_their_statements(db):
    page = "# Title\n\n```sql\nSELECT 1 AS a, NULL AS b, 'x|y' AS c, 2.5e-9 AS d, TRUE AS e\n```\n\nText.\n"
    once = answered(page, db)
    assert once == page.replace(
        "\nText",
        "\n| a | b | c | d | e |\n| --- | --- | --- | --- | --- |\n| 1 | - | x\\|y | 2.5e-09 | yes |\n\nText",
    )
    assert answered(once, db) == once
    assert questions(once)[0].columns == ("a", "b", "c", "d", "e")
