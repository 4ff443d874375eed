"""The errors that the datasets package raises: what was given, what is allowed, what to do."""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set cannot be found or does not hold what it should."""
