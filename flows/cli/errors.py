"""Exit codes of the command line, and the errors that lead to them."""

from __future__ import annotations

NOTHING_USABLE = 1
BAD_USAGE = 2
INTERRUPTED = 130


class UsageError(ValueError):
    """A command was asked for something it does not have; says what it has."""


class NothingUsableError(RuntimeError):
    """A run that ended with nothing usable."""
