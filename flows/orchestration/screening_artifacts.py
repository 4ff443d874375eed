"""What a screening shows in the Prefect UI when it is over: ranking, summary with pictures, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from storage.places import paths_of
from storage.run_outcome import run_outcome
from tasks.reports.artifacts import failure_table, ranking_table, summary_markdown, unfinished_markdown

if TYPE_CHECKING:
    from flows.campaign import Summary
    from storage.run_outcome import RunOutcome

RANKING_ROWS = 50
DRAWN = 25
"""Materials in the picture; with more of them, a second one shows how all barriers are spread."""

DOTS_AN_INCH = 110
"""Fine enough to read, and so coarse that a page of 25 materials is no more than some 100 kB."""

SUMMARY, RANKING, FAILURES = "screening-summary", "ranking", "failures"
"""Keys, by which the UI lists what earlier runs showed."""


def show_screening(summary: Summary) -> None:
    """Show what a screening came to; when that does not work, say so and leave the run as it is."""
    try:
        outcome = run_outcome(summary.database, summary.run_id, limit=RANKING_ROWS)
        text = summary_markdown(summary.as_dict(), outcome.failures, pictures_of(outcome))
        create_markdown_artifact(text, key=SUMMARY, description=f"What run {summary.run_id} came to.")
        _show_tables(outcome)
    except Exception as error:  # noqa: BLE001 - whatever it is, the results are in the database
        _warn(error)


def show_unfinished(database: str, run_id: str, error: Exception) -> None:
    """Show what a screening had done when an error ended it, if it had done anything."""
    published = paths_of(database).published
    try:
        if not published.exists():
            return
        outcome = run_outcome(published, run_id, limit=RANKING_ROWS)
        if not (outcome.ranking or outcome.failures):
            return
        told = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        n_known = len(outcome.barriers)
        text = unfinished_markdown(
            run_id, str(published), told, n_known, outcome.failures, pictures_of(outcome)
        )
        create_markdown_artifact(text, key=SUMMARY, description=f"How far run {run_id} got.")
        _show_tables(outcome)
    except Exception as trouble:  # noqa: BLE001 - what ended the run is what is told
        _warn(trouble)


def _show_tables(outcome: RunOutcome) -> None:
    n_materials = len(outcome.barriers) + outcome.n_without
    create_table_artifact(
        ranking_table(outcome.ranking),
        key=RANKING,
        description=f"The best of {n_materials} materials of this run; rank is the place in the database.",
    )
    count = sum(row["n_failures"] for row in outcome.failures)
    create_table_artifact(
        failure_table(outcome.failures),
        key=FAILURES,
        description=f"{count} without a result, by reason; `lihop failures` lists each."
        if count
        else "Everything has a result.",
    )


def pictures_of(outcome: RunOutcome) -> dict[str, str]:
    """Return pictures of what a run came to, as addresses by what they show; none without a barrier."""
    if not outcome.barriers:
        return {}
    # Here, since who starts a run need not wait for matplotlib.
    from tasks.reports.drawing import data_uri
    from tasks.reports.ranking_figure import ranking_figure
    from tasks.reports.spread_figure import spread_figure

    n_ranked = len(outcome.barriers)
    note = (
        f"the {min(DRAWN, n_ranked)} lowest of {n_ranked} barriers; {outcome.n_without} materials have none"
    )
    ranked = ranking_figure(outcome.ranking, max_rows=DRAWN, note=note)
    drawn = {"Materials of this run, the fastest on top": ranked}
    if n_ranked > DRAWN:
        drawn["How the barriers of this run are spread"] = spread_figure(outcome.barriers)
    return {what: data_uri(figure, dots_an_inch=DOTS_AN_INCH) for what, figure in drawn.items()}


def _warn(error: Exception) -> None:
    told = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
    get_run_logger().warning("What this run came to cannot be shown here, and is in its database: %s", told)
