"""The errors that the datasets package raises: what was given, what is allowed, what to do."""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set cannot be found or does not hold what it should."""


class UnreadableHopError(DatasetError):
    """One hop of a data set cannot be read; the others may well be."""


class DownloadError(DatasetError):
    """A file of a data set cannot be had, or is not the one that was published."""


class NoSuchSplitError(DatasetError):
    """None of the data sets that were named has hops of the split."""
