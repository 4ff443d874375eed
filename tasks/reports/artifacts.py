"""What a run shows in the Prefect UI: a ranking table and a summary, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.reports.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RANKING_COLUMNS = (
    "rank",
    "material_id",
    "formula",
    "percolation_dim",
    "direction_conventional",
    "barrier_at_dim_ev",
    "lower_ev",
    "upper_ev",
    "in_domain",
    "capacity_mah_g",
)
DIGITS = 3
MESSAGE_CHARACTERS = 240


def ranking_table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of the ranking that fit on a screen, with rounded numbers."""
    return [{name: _rounded(row.get(name)) for name in RANKING_COLUMNS} for row in rows]


def _rounded(value: object) -> object:
    return round(value, DIGITS) if isinstance(value, float) else value


def failure_table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return why things have no result, a row a reason, with what to do about it.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the view `failure_summary`.
    """
    return [
        {
            "reason": row["reason"],
            "count": row["n_failures"],
            "what to do": remedy(row["reason"]),
            "examples": row["example_ids"],
            "message of the first": _shortened(row["example_message"]),
        }
        for row in rows
    ]


def _shortened(message: str | None) -> str | None:
    """Return a message that fits a cell."""
    flat = None if message is None else " ".join(message.split())
    return flat if flat is None or len(flat) <= MESSAGE_CHARACTERS else f"{flat[: MESSAGE_CHARACTERS - 3]}..."


def summary_markdown(summary: Mapping[str, Any], pictures: Mapping[str, str] | None = None) -> str:
    """Return what a screening did, as markdown.

    Parameters
    ----------
    summary : mapping
        The fields of `flows.campaign.Summary`.
    pictures : mapping of str to str, optional
        Addresses of pictures to show, by what they show.
    """
    lines = [
        f"# Screening {summary['run_id']}",
        "",
        f"{summary['n_candidates']} materials of {summary['n_items']} source items; "
        f"{summary['n_computed']} computed, {summary['n_reused']} known already; "
        f"{summary['n_with_result']} with a percolation result.",
        "",
        *_embedded(pictures),
        f"Database: `{summary['database']}`",
    ]
    if summary["failures"]:
        lines += ["", "| without a result because of | materials |", "|---|---|"]
        lines += [f"| {reason} | {count} |" for reason, count in summary["failures"].items()]
    if summary.get("not_found"):
        lines += ["", f"Asked for by id and not found: {', '.join(summary['not_found'])}"]
    if summary.get("citation"):
        lines += ["", f"Cite: {summary['citation']}"]
    return "\n".join(lines) + "\n"


def unfinished_markdown(
    run_id: str, database: str, error: str, n_barriers: int, pictures: Mapping[str, str] | None = None
) -> str:
    """Return what a screening had done when an error ended it, as markdown.

    Parameters
    ----------
    run_id, database : str
        The run, and where its results are.
    error : str
        What ended it, in a line.
    n_barriers : int
        Materials that have a barrier.
    pictures : mapping of str to str, optional
        Addresses of pictures to show, by what they show.
    """
    lines = [
        f"# Screening {run_id}: not finished",
        "",
        f"It ended early: {error}",
        "",
        f"What was done is kept: {n_barriers} materials have a barrier so far. Retry this run to go on with it.",
        "",
        *_embedded(pictures),
        f"Database: `{database}`",
    ]
    return "\n".join(lines) + "\n"


def _embedded(pictures: Mapping[str, str] | None) -> list[str]:
    """Return lines that show pictures."""
    return [line for what, address in (pictures or {}).items() for line in (f"![{what}]({address})", "")]


FIGURES = {"mae_ev": "MAE (eV)", "rmse_ev": "RMSE (eV)", "r2": "R²", "spearman": "Spearman"}


def training_markdown(found: Mapping[str, Any], held_out: Mapping[str, Any]) -> str:
    """Return what a training came to, as markdown.

    Parameters
    ----------
    found : mapping
        What `flows.train.train` returns.
    held_out : mapping
        Its figures on hosts held out; those that it lacks are not told.
    """
    lines = [
        f"# Model {found['name']}",
        "",
        f"Learned from {found['n_training_hops']} hops: {found['trained_on']}",
        "",
        f"Checkpoint: `{found['path']}`, digest `{found['model_digest']}`, trained on "
        f"{found['accelerator']}.",
    ]
    told = {text: held_out.get(name) for name, text in FIGURES.items()}
    known = {text: value for text, value in told.items() if value is not None}
    if known:
        lines += ["", "| on hosts held out | |", "|---|---|"]
        lines += [f"| {text} | {_rounded(value)} |" for text, value in known.items()]
    return "\n".join(lines) + "\n"
