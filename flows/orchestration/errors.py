"""What can be wrong with the Prefect server that flows are to run on."""

from __future__ import annotations


class OrchestrationError(RuntimeError):
    """A Prefect server that is not there, or does not do what it is asked; says what to do."""
