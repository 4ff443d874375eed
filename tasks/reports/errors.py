"""Errors of reports."""

from __future__ import annotations


class FigureError(ValueError):
    """A figure cannot be drawn or written; says why."""
