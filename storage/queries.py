"""Questions answered from the published copy, as plain dicts that are ready for JSON."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb

from storage.database import reading
from storage.errors import CorruptDatabaseError, QueryError
from storage.records import HOP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Record = dict[str, Any]

_LARGE = ("structure_json", "oxidation_states")
_HOP_ORDER = "known.distance_ang, i, j, ox, oy, oz, vacancy"
# What `hops` holds of a hop beside the columns of `hop_barriers`.
_NOT_IN_VIEW = (
    "orbit, orbit_also_vacant, frac_i, frac_j, end_shift_ang, path_steps, path_length_ang, "
    "bvse_barrier_forward_ev, bvse_barrier_reverse_ev, saddle_fraction, path_ang, path_energies_ev, "
    "extrema_fraction, extrema_ev, n_intermediate_minima, missing_parameters"
)
_READS = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})


@dataclass(frozen=True)
class Answer:
    """Columns and rows of a statement; `truncated` when there were more rows than asked for.

    Of columns with one name the later ones carry a number, as in ``a``, ``a_1``, so that each has its own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool

    def records(self) -> list[Record]:
        """Return the rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def rankings(
    db: str | Path, *, by: str = "barrier_at_dim_ev", ascending: bool = True, limit: int | None = None
) -> list[Record]:
    """Return the rows of the view `rankings`, ordered by any of its columns, nulls last.

    Raises
    ------
    QueryError
        When there is no such column; the message lists those there are.
    """
    with reading(db) as connection:
        columns = [str(row[0]) for row in connection.execute("DESCRIBE rankings").fetchall()]
        if by not in columns:
            raise QueryError(f"rankings has no column {by!r}; allowed are {', '.join(columns)}")
        direction = "ASC" if ascending else "DESC"
        return _ask(
            connection,
            f'SELECT * FROM rankings ORDER BY "{by}" {direction} NULLS LAST, '  # noqa: S608 - by is checked
            "barrier_at_dim_ev ASC NULLS LAST, material_id, structure_hash",
            limit=limit,
        ).records()


def candidates(db: str | Path, *, source: str | None = None, limit: int | None = None) -> list[Record]:
    """Return the candidates, by source and identifier, without their structures."""
    with reading(db) as connection:
        return _ask(
            connection,
            f"SELECT * EXCLUDE ({', '.join(_LARGE)}) FROM candidates "  # noqa: S608
            "WHERE $source IS NULL OR source = $source ORDER BY source, material_id, structure_hash",
            {"source": source},
            limit=limit,
        ).records()


def material(db: str | Path, query: str) -> list[Record]:
    """Return the ranking rows of the materials that a user may mean.

    An identifier or a hash is tried first, then a formula or a full name, then a part of a name (letter case
    does not count); the first that fits anything decides. A material goes by the names of all that were
    merged into it, also those that the ranking does not show.

    Parameters
    ----------
    db : str or Path
        The published copy.
    query : str
        What the user typed, such as ``LiFePO4``, ``olivine`` or an identifier.

    Returns
    -------
    list of dict
        Ranking rows, empty when nothing fits, several when several fit.
    """
    tiers = (
        "c.material_id = $query OR c.structure_hash = $query OR list_contains(c.other_ids, $query)",
        "lower($query) IN (lower(c.formula), lower(c.name), lower(c.material_id))",
        "contains(lower(c.name), lower($query))",
    )
    if not query.strip():
        raise QueryError("no material was named; give an identifier, a formula or a name")
    with reading(db) as connection:
        for tier in tiers:
            found = _ask(
                connection,
                "SELECT * FROM rankings AS r WHERE EXISTS (SELECT 1 FROM candidates AS c WHERE "  # noqa: S608
                f"c.material_key = r.material_key AND c.working_ion = r.working_ion AND ({tier})) "
                "ORDER BY barrier_at_dim_ev ASC NULLS LAST, material_id, state DESC, structure_hash",
                {"query": query},
            ).records()
            if found:
                return found
    return []


def structure_of(db: str | Path, structure_hash: str) -> str | None:
    """Return a cleaned structure as pymatgen JSON, or None when there is none of that hash."""
    with reading(db) as connection:
        found = connection.execute(
            "SELECT structure_json FROM candidates WHERE structure_hash = $hash LIMIT 1",
            {"hash": structure_hash},
        ).fetchone()
    return None if found is None else str(found[0])


def charges_of(db: str | Path, structure_hash: str) -> list[float] | None:
    """Return the oxidation states of a cleaned structure's sites, or None when they are unknown."""
    with reading(db) as connection:
        found = connection.execute(
            "SELECT oxidation_states FROM candidates WHERE structure_hash = $hash LIMIT 1",
            {"hash": structure_hash},
        ).fetchone()
    return None if found is None else found[0]


def hops_of(db: str | Path, structure_hash: str, working_ion: str | None = None) -> list[Record]:
    """Return the hops of a material's newest result with the best barrier known for each, shortest first."""
    return _of_structure(db, "hop_barriers", structure_hash, working_ion, _HOP_ORDER)


def network_of(db: str | Path, structure_hash: str, working_ion: str | None = None) -> list[Record]:
    """Return what `hops_of` does with all else that is stored of each hop: its orbit, ends and path."""
    with reading(db) as connection:
        return _ask(
            connection,
            f"SELECT known.*, hops.residual_force_ev_ang AS path_residual_force_ev_ang, {_NOT_IN_VIEW} "  # noqa: S608
            f"FROM hop_barriers AS known JOIN hops USING ({', '.join(HOP_KEY)}) "
            "JOIN latest_results AS newest ON newest.structure_hash = hops.structure_hash "
            "AND newest.working_ion = hops.working_ion AND newest.hops_stage_key = hops.stage_key "
            "WHERE known.structure_hash = $hash AND ($ion IS NULL OR known.working_ion = $ion) "
            f"ORDER BY {_HOP_ORDER}",
            {"hash": structure_hash, "ion": working_ion},
        ).records()


def predictions_of(db: str | Path, structure_hash: str, working_ion: str | None = None) -> list[Record]:
    """Return all predictions for a material, older ones included."""
    return _of_structure(
        db, "predictions", structure_hash, working_ion, "i, j, ox, oy, oz, vacancy, stage_key"
    )


def percolation_of(db: str | Path, structure_hash: str, working_ion: str | None = None) -> list[Record]:
    """Return the newest percolation results of a material, a row a working ion."""
    with reading(db) as connection:
        return _ask(
            connection,
            "SELECT p.*, l.run_id FROM percolation AS p JOIN latest_results AS l "
            "ON l.structure_hash = p.structure_hash AND l.working_ion = p.working_ion "
            "AND l.percolation_stage_key = p.stage_key "
            "WHERE p.structure_hash = $hash AND ($ion IS NULL OR p.working_ion = $ion) "
            "ORDER BY p.working_ion",
            {"hash": structure_hash, "ion": working_ion},
        ).records()


def failures(
    db: str | Path,
    *,
    reason: str | None = None,
    stage: str | None = None,
    run: str | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Return failures, optionally of one reason, stage or run.

    Parameters
    ----------
    db : str or Path
        The published copy.
    reason, stage : str, optional
        One word of `storage.records.Reason` or `Stage`.
    run : str, optional
        A run's identifier, or ``latest``.
    limit : int, optional
        At most so many rows.
    """
    with reading(db) as connection:
        if run == "latest":
            newest = connection.execute("SELECT run_id FROM run_summary LIMIT 1").fetchone()
            run = None if newest is None else str(newest[0])
        return _ask(
            connection,
            "SELECT * FROM failures WHERE ($reason IS NULL OR reason = $reason) "
            "AND ($stage IS NULL OR stage = $stage) AND ($run IS NULL OR EXISTS ("
            "SELECT 1 FROM run_failures AS part WHERE part.run_id = $run "
            "AND part.material_id = failures.material_id AND part.source = failures.source "
            "AND part.working_ion = failures.working_ion AND part.stage = failures.stage "
            "AND part.reason = failures.reason AND part.stage_key = failures.stage_key)) "
            "ORDER BY reason, source, material_id, stage_key",
            {"reason": reason, "stage": stage, "run": run},
            limit=limit,
        ).records()


def runs(db: str | Path, *, limit: int | None = None) -> list[Record]:
    """Return the rows of the view `run_summary`, newest first."""
    with reading(db) as connection:
        return _ask(
            connection, "SELECT * FROM run_summary ORDER BY started_at DESC, run_id DESC", limit=limit
        ).records()


def sql(
    db: str | Path, statement: str, *, limit: int | None = None, time_limit_s: float | None = None
) -> Answer:
    """Answer one reading statement on the published copy.

    The connection can neither write nor reach any other file or extension, whatever the statement says.

    Parameters
    ----------
    db : str or Path
        The published copy.
    statement : str
        One SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.
    limit : int, optional
        Return at most so many rows and say whether there were more.
    time_limit_s : float, optional
        Give up after so many seconds.

    Raises
    ------
    QueryError
        When the statement is not one read, is wrong, takes too long, or reaches for what is closed to it.
    """
    with reading(db) as connection:
        _check_read(connection, statement)
        return _ask(connection, statement, limit=limit, time_limit_s=time_limit_s)


def _of_structure(
    db: str | Path, relation: str, structure_hash: str, working_ion: str | None, order: str
) -> list[Record]:
    """Return the rows of one structure in a table or view of ours."""
    with reading(db) as connection:
        return _ask(
            connection,
            f"SELECT * FROM {relation} AS known WHERE structure_hash = $hash "  # noqa: S608 - ours, not the user's
            f"AND ($ion IS NULL OR working_ion = $ion) ORDER BY {order}",
            {"hash": structure_hash, "ion": working_ion},
        ).records()


def _check_read(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse what is not exactly one reading statement."""
    try:
        parsed = connection.extract_statements(statement)
    except duckdb.Error as error:
        raise QueryError(f"the SQL cannot be parsed: {error}") from error
    if len(parsed) != 1:
        raise QueryError(f"{len(parsed)} statements were given; give exactly one")
    if parsed[0].type not in _READS:
        raise QueryError(
            f"a statement of type {parsed[0].type.name} was given; the published copy is read-only: allowed "
            "are SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN"
        )


def _ask(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    parameters: dict[str, Any] | None = None,
    *,
    limit: int | None = None,
    time_limit_s: float | None = None,
) -> Answer:
    """Run a statement and return its rows in plain types."""
    if limit is not None and limit < 0:
        raise QueryError(f"the limit {limit} is negative; give 0 or more")
    try:
        with _interrupting(connection, time_limit_s):
            cursor = connection.execute(statement, parameters)
            columns = _distinct([str(column[0]) for column in cursor.description or ()])
            found: Sequence[tuple[Any, ...]] = (
                cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
            )
    except duckdb.InterruptException as error:
        raise QueryError(f"the statement took longer than {time_limit_s:g} s; narrow it") from error
    except (duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException):
        raise
    except duckdb.Error as error:
        if "checksum" in str(error).lower():
            raise CorruptDatabaseError(f"the database is damaged: {error}") from error
        raise QueryError(str(error)) from error
    rows = tuple(tuple(_plain(value) for value in row) for row in found[:limit])
    return Answer(columns, rows, truncated=limit is not None and len(found) > limit)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which none repeats: later ones get the least number that makes them new."""
    found: list[str] = []
    for name in names:
        suffixed = (f"{name}_{number}" for number in count(1))
        # A column that is really called a_1 keeps its name.
        found.append(
            name if name not in found else next(one for one in suffixed if one not in {*found, *names})
        )
    return tuple(found)


@contextmanager
def _interrupting(connection: duckdb.DuckDBPyConnection, time_limit_s: float | None) -> Iterator[None]:
    """Interrupt what the connection does after a time limit."""
    if time_limit_s is None:
        yield
        return
    timer = threading.Timer(time_limit_s, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _plain(value: object) -> object:
    """Return a value as JSON can hold it: times in ISO 8601 (UTC), bytes in base64, no NaN."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither NaN nor infinity exists in JSON
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return _plain_rare(value)


def _plain_rare(value: object) -> object:
    """Return values of the rarer SQL types as JSON can hold them."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (date, time)):
        return value.isoformat()
    return json.loads(json.dumps(value, default=str))
