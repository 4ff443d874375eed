"""Figures that commands write on request; matplotlib is loaded only then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

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
    from tasks.reports.figures import ranking_figure

    refuse_figure(path)
    _write(path, lambda: ranking_figure(rows))


def write_parity(path: str, judged: Judgement, title: str) -> None:
    """Write predicted against DFT barriers as a figure.

    Raises
    ------
    UsageError
        When the file cannot be written.
    """
    from tasks.reports.figures import parity_figure

    test, found = judged.test, judged.predictions
    _write(
        path,
        lambda: parity_figure(
            test.barrier_ev,
            found.barrier_ev,
            found.lower_ev,
            found.upper_ev,
            ions=test.ions,
            in_domain=found.in_domain,
            title=title,
        ),
    )


def write_residuals(path: str, judged: Judgement, title: str) -> None:
    """Write predicted less DFT barriers as a figure.

    Raises
    ------
    UsageError
        When the file cannot be written.
    """
    from tasks.reports.figures import residual_figure

    test, found = judged.test, judged.predictions
    _write(
        path,
        lambda: residual_figure(
            test.barrier_ev, found.barrier_ev, ions=test.ions, in_domain=found.in_domain, title=title
        ),
    )


def _write(path: str, draw: Callable[[], Figure]) -> None:
    """Draw and save, and say what is wrong as an error of usage."""
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import save

    try:
        save(draw(), Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error
