"""Identifiers of runs and syncs."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


def new_run_id() -> str:
    """Return an identifier that sorts by time and does not collide."""
    return _run_id(datetime.now(UTC), secrets.token_hex(3))


def run_id_of(created: datetime, identifier: UUID) -> str:
    """Return the identifier of what a flow run does, the same at each of its attempts.

    Parameters
    ----------
    created : datetime.datetime
        When the flow run came to be, with a time zone.
    identifier : uuid.UUID
        The flow run.
    """
    return _run_id(created.astimezone(UTC), identifier.hex[-8:])


def _run_id(at: datetime, suffix: str) -> str:
    return f"{at:%Y%m%dT%H%M%S}-{suffix}"
