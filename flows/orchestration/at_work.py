"""What every flow that works for long does around its work, whatever the work is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.orchestration.living import staying_alive
from flows.orchestration.showing import shown_in_prefect
from flows.orchestration.stopping import stopping_as_told

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def at_work(unit: str = "materials") -> Iterator[None]:
    """Inside the body a flow run shows how far it is, is not taken for dead, and ends as it is told to.

    Parameters
    ----------
    unit : str
        What is counted, for people.
    """
    with stopping_as_told(), staying_alive(), shown_in_prefect(unit):
        yield
