"""Figures that commands write on request; matplotlib is loaded only then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.evaluate import Judgement


def refuse_figure(path: str) -> None:
    """Refuse a figure's file name before the work that the figure is to show.

    Raises
    ------
    UsageError
        When its ending names no format that can be written.
    """
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import check_path

    try:
        check_path(Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error


def write_ranking(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the ranking as a figure.

    Raises
    ------
    UsageError
        When no row has a barrier, or the file cannot be written.
    """
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import ranking_figure, save

    refuse_figure(path)
    try:
        save(ranking_figure(rows), Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error


def write_parity(path: str, judged: Judgement, title: str) -> None:
    """Write predicted against DFT barriers as a figure.

    Raises
    ------
    UsageError
        When the file cannot be written.
    """
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import parity_figure, save

    found = judged.predictions
    try:
        figure = parity_figure(
            judged.test.barrier_ev,
            found.barrier_ev,
            found.lower_ev,
            found.upper_ev,
            ions=judged.test.ions,
            in_domain=found.in_domain,
            title=title,
        )
        save(figure, Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error


def write_residuals(path: str, judged: Judgement, title: str) -> None:
    """Write predicted less DFT barriers as a figure.

    Raises
    ------
    UsageError
        When the file cannot be written.
    """
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import residual_figure, save

    found = judged.predictions
    try:
        figure = residual_figure(
            judged.test.barrier_ev,
            found.barrier_ev,
            ions=judged.test.ions,
            in_domain=found.in_domain,
            title=title,
        )
        save(figure, Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error
