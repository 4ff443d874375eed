"""Questions answered from the published copy, as plain dicts that are ready for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.asking import Answer, Record, ask, check_read
from storage.database import reading
from storage.errors import QueryError
from storage.records import HOP_KEY

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

__all__ = ["Answer", "Record"]

_LARGE = ("structure_json", "oxidation_states")
_HOP_ORDER = "known.distance_ang, i, j, ox, oy, oz, vacancy"
# What `hops` holds of a hop beside the columns of `hop_barriers`.
_NOT_IN_VIEW = (
    "orbit, orbit_also_vacant, frac_i, frac_j, end_shift_ang, path_steps, path_length_ang, "
    "bvse_barrier_forward_ev, bvse_barrier_reverse_ev, saddle_fraction, path_ang, path_energies_ev, "
    "extrema_fraction, extrema_ev, n_intermediate_minima, missing_parameters"
)


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
        return ask(
            connection,
            f'SELECT * FROM rankings ORDER BY "{by}" {direction} NULLS LAST, '  # noqa: S608 - by is checked
            "barrier_at_dim_ev ASC NULLS LAST, material_id, structure_hash",
            limit=limit,
        ).records()


def candidates(db: str | Path, *, source: str | None = None, limit: int | None = None) -> list[Record]:
    """Return the candidates, by source and identifier, without their structures."""
    with reading(db) as connection:
        return ask(
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
    with reading(db) as connection:
        return material_in(connection, query)


def material_in(connection: duckdb.DuckDBPyConnection, query: str) -> list[Record]:
    """Return what `material` does, over a connection that is open already."""
    tiers = (
        "c.material_id = $query OR c.structure_hash = $query OR list_contains(c.other_ids, $query)",
        "lower($query) IN (lower(c.formula), lower(c.name), lower(c.material_id))",
        "contains(lower(c.name), lower($query))",
    )
    if not query.strip():
        raise QueryError("no material was named; give an identifier, a formula or a name")
    for tier in tiers:
        found = ask(
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
        return network_in(connection, structure_hash, working_ion)


def network_in(
    connection: duckdb.DuckDBPyConnection, structure_hash: str, working_ion: str | None = None
) -> list[Record]:
    """Return what `network_of` does, over a connection that is open already."""
    return ask(
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
    # Without the number of the structure, which is that of one file alone.
    rows = "(SELECT * EXCLUDE (structure_no) FROM predictions)"
    return _of_structure(db, rows, structure_hash, working_ion, "i, j, ox, oy, oz, vacancy, stage_key")


def percolation_of(db: str | Path, structure_hash: str, working_ion: str | None = None) -> list[Record]:
    """Return the newest percolation results of a material, a row a working ion."""
    with reading(db) as connection:
        return ask(
            connection,
            "SELECT p.* EXCLUDE (structure_no), l.run_id FROM percolation AS p JOIN latest_results AS l "
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
        return ask(
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
        return ask(
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
        check_read(connection, statement)
        return ask(connection, statement, limit=limit, time_limit_s=time_limit_s)


def _of_structure(
    db: str | Path, relation: str, structure_hash: str, working_ion: str | None, order: str
) -> list[Record]:
    """Return the rows of one structure in a table or view of ours."""
    with reading(db) as connection:
        return ask(
            connection,
            f"SELECT * FROM {relation} AS known WHERE structure_hash = $hash "  # noqa: S608 - ours, not the user's
            f"AND ($ion IS NULL OR working_ion = $ion) ORDER BY {order}",
            {"hash": structure_hash, "ion": working_ion},
        ).records()
