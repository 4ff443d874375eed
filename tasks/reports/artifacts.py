"""What a run shows in the Prefect UI: a ranking table and a summary, as plain values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tasks.reports.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIGITS = 3
MESSAGE_CHARACTERS = 240


def ranking_table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what of the ranking fits on a screen, with rounded numbers, under names that people read.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the view `rankings`.
    """
    return [
        {
            "rank": row["rank"],
            "formula": row["formula"],
            "barrier (eV)": _rounded(row["barrier_at_dim_ev"]),
            "90% interval": _interval(row),
            "percolates": _percolates(row),
            "in domain": {True: "yes", False: "no", None: ""}[row["in_domain"]],
            "mAh/g": None if row["capacity_mah_g"] is None else round(row["capacity_mah_g"]),
            "material_id": row["material_id"],
        }
        for row in rows
    ]


def _interval(row: Mapping[str, Any]) -> str:
    """Return the interval of a barrier, if it has one."""
    if row["lower_ev"] is None or row["upper_ev"] is None:
        return ""
    return f"{row['lower_ev']:.2f} to {row['upper_ev']:.2f}"


def _percolates(row: Mapping[str, Any]) -> str:
    """Return in how many dimensions ions percolate and along what, or why there is no barrier."""
    if row["barrier_at_dim_ev"] is None:
        return str(row["reason"]).replace("_", " ")
    along = row["direction_conventional"]
    return f"{row['percolation_dim']}-D" + ("" if along in {None, "isotropic"} else f" {along}")


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


def summary_markdown(
    summary: Mapping[str, Any],
    failures: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Return what a screening did, as markdown.

    Parameters
    ----------
    summary : mapping
        The fields of `flows.campaign.Summary`.
    failures : sequence of mapping
        Rows of the view `failure_summary`.
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
        *_failures(failures),
    ]
    if summary.get("not_found"):
        lines += ["", f"Asked for by id and not found: {', '.join(summary['not_found'])}"]
    if summary.get("citation"):
        lines += ["", f"Cite: {summary['citation']}"]
    return "\n".join(lines) + "\n"


def _failures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of failures; its cells wrap, those of a table by itself do not."""
    if not rows:
        return []
    cells = [
        (
            row["reason"],
            str(row["n_failures"]),
            remedy(row["reason"]),
            _shortened(row["example_message"]) or "",
        )
        for row in rows
    ]
    head = ["", "| without a result | how many | what to do | the first of them |", "|---|---|---|---|"]
    return head + [f"| {' | '.join(_cell(text) for text in row)} |" for row in cells]


def _cell(text: str) -> str:
    """Return a text that markdown takes as it is, within a table."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)


def unfinished_markdown(
    run_id: str,
    database: str,
    error: str,
    n_barriers: int,
    failures: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[str, str] | None = None,
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
    failures : sequence of mapping
        Rows of the view `failure_summary`.
    pictures : mapping of str to str, optional
        Addresses of pictures to show, by what they show.
    """
    lines = [
        f"# Screening {run_id}: not finished",
        "",
        f"It ended early: {_cell(error)}",
        "",
        f"What was done is kept: {n_barriers} materials have a barrier so far. Retry this run to go on.",
        "",
        *_embedded(pictures),
        f"Database: `{database}`",
        *_failures(failures),
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
