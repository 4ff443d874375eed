"""What one run came to, for whoever looks at that run alone: its ranking, its barriers and its failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.asking import ask
from storage.database import reading

if TYPE_CHECKING:
    from pathlib import Path

    from storage.asking import Record

# A material's row may show a structure that another run brought: what both were merged into tells it.
_OF_RUN = """
    rankings AS ranked WHERE EXISTS (
        SELECT 1 FROM run_materials AS part JOIN candidates AS c
            ON c.structure_hash = part.structure_hash AND c.working_ion = part.working_ion
        WHERE part.run_id = $run AND c.material_key = ranked.material_key
            AND c.working_ion = ranked.working_ion AND c.state = ranked.state
    )
"""


@dataclass(frozen=True)
class RunOutcome:
    """What one run came to.

    Parameters
    ----------
    ranking : list of dict
        Rows of `rankings`, the fastest materials of the run first, as many as were asked for.
    barriers : list of tuple of float and int
        Barrier (eV) and percolation dimension of all its materials that have one, the lowest first.
    n_without : int
        Materials that took part in it and have no barrier.
    failures : list of dict
        Rows of `failure_summary`, the commonest first.
    """

    ranking: list[Record]
    barriers: list[tuple[float, int]]
    n_without: int
    failures: list[Record]


def run_outcome(db: str | Path, run: str, *, limit: int) -> RunOutcome:
    """Return what one run came to; nothing of a run that is not there.

    Parameters
    ----------
    db : str or Path
        The published copy.
    run : str
        The run's identifier.
    limit : int
        Most rows of its ranking.
    """
    given = {"run": run}
    order = "ORDER BY barrier_at_dim_ev ASC NULLS LAST, material_id, structure_hash"
    with reading(db) as connection:
        ranking = ask(connection, f"SELECT ranked.* FROM {_OF_RUN} {order}", given, limit=limit)  # noqa: S608
        every = connection.execute(
            f"SELECT barrier_at_dim_ev, percolation_dim FROM {_OF_RUN} {order}",  # noqa: S608
            given,
        ).fetchall()
        failures = ask(
            connection, "SELECT * FROM failure_summary WHERE run_id = $run ORDER BY n_failures DESC", given
        )
    known = [(barrier_ev, dim) for barrier_ev, dim in every if barrier_ev is not None]
    return RunOutcome(ranking.records(), known, len(every) - len(known), failures.records())
