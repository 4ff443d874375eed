"""The figures there are, and how one is written to a file."""

from tasks.reports.drawing import check_path, save
from tasks.reports.hop_figure import hop_figure
from tasks.reports.network_figure import network_figure
from tasks.reports.parity_figure import parity_figure
from tasks.reports.ranking_figure import ranking_figure
from tasks.reports.residual_figure import residual_figure

__all__ = [
    "check_path",
    "hop_figure",
    "network_figure",
    "parity_figure",
    "ranking_figure",
    "residual_figure",
    "save",
]
