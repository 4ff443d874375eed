"""The history of runs: what one run was, and what differs between two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from storage.asking import ask
from storage.database import reading
from storage.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from storage.asking import Record

LATEST = "latest"
# A network's last digits depend on the batch that it sees: barriers that agree so far are the same.
SAME_BARRIER_EV = 1e-4
_COMPARED = ("barrier_at_dim_ev", "percolation_dim", "reason", "structure_hash")
_MANIFEST = ("source", "working_ion", "model_digest", "code_version", "database_version")
# What became of each material that took part in a run, or failed in it before it could.
_OUTCOMES = """
SELECT material_id, working_ion, coalesce(state, 'discharged') AS state, formula, structure_hash,
    barrier_at_dim_ev, percolation_dim, model_digest, reason
FROM run_results WHERE run_id = $run
UNION ALL BY NAME
SELECT material_id, working_ion, state, any_value(formula) AS formula, min(reason) AS reason
FROM run_failure_reasons AS failed
WHERE run_id = $run AND NOT EXISTS (
    SELECT 1 FROM run_results AS taken
    WHERE taken.run_id = $run AND taken.material_id = failed.material_id
    AND taken.working_ion = failed.working_ion AND coalesce(taken.state, 'discharged') = failed.state
)
GROUP BY material_id, working_ion, state
ORDER BY ALL
"""


def matching_run(known: Sequence[str], given: str) -> str:
    """Return the run that is meant, of those known, newest first.

    Parameters
    ----------
    known : sequence of str
        Identifiers.
    given : str
        ``latest``, an identifier, or the beginning of a single one.

    Raises
    ------
    QueryError
        When none is meant, or several are; the message names them.
    """
    if given == LATEST and known:
        return known[0]
    if given in known:
        return given
    meant = [run for run in known if given and run.startswith(given)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise QueryError(f"{given!r} begins several runs: {', '.join(meant)}; give more of it")
    names = ", ".join([LATEST, *known]) if known else "none, since nothing was screened yet"
    raise QueryError(f"there is no run {given!r}; there are {names}")


def run_card(db: str | Path, run: str) -> Record:
    """Return all that is known of a run: its manifest, settings, counts, and failures by reason.

    Parameters
    ----------
    db : str or Path
        The published copy.
    run : str
        Identifier, its beginning, or ``latest``.
    """
    with reading(db) as connection:
        run_id = matching_run(_known(connection), run)
        return _card(connection, run_id)


def diff(db: str | Path, first: str | None = None, second: str | None = None) -> Record:
    """Return what differs between two runs.

    Parameters
    ----------
    db : str or Path
        The published copy.
    first : str, optional
        The earlier run; the one before the later one, of the same source and working ion, otherwise.
    second : str, optional
        The later run; the newest one otherwise.

    Returns
    -------
    dict
        `first` and `second`; `settings` and `manifest`, by name a pair of values; `came` and `went`;
        `newly_failing`, `newly_succeeding` and `changed`, each material in one of the three, with the
        pairs of values that differ under `changes`; `n_same`.

    Raises
    ------
    QueryError
        When a run is not known, or there is none before.
    """
    with reading(db) as connection:
        known = _known(connection)
        later = matching_run(known, LATEST if second is None else second)
        earlier = _before(connection, later) if first is None else matching_run(known, first)
        if first is not None and second is None and earlier == later:
            earlier = _before(connection, later)
        before, after = _card(connection, earlier), _card(connection, later)
        return {
            "first": _head(before),
            "second": _head(after),
            "settings": _pairs(before["settings"], after["settings"]),
            "manifest": _pairs(*({name: card[name] for name in _MANIFEST} for card in (before, after))),
            **_compare(_outcomes(connection, earlier), _outcomes(connection, later)),
        }


def _known(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the identifiers of all runs, newest first."""
    rows = connection.execute("SELECT run_id FROM runs ORDER BY started_at DESC, run_id DESC").fetchall()
    return [str(row[0]) for row in rows]


def _before(connection: duckdb.DuckDBPyConnection, later: str) -> str:
    """Return the run before another one, of the same source and working ion."""
    found = connection.execute(
        "SELECT earlier.run_id FROM runs AS earlier JOIN runs AS later ON later.run_id = ? "
        "AND earlier.source = later.source AND earlier.working_ion = later.working_ion "
        "AND (earlier.started_at, earlier.run_id) < (later.started_at, later.run_id) "
        "ORDER BY earlier.started_at DESC, earlier.run_id DESC LIMIT 1",
        [later],
    ).fetchone()
    if found is None:
        raise QueryError(
            f"there is no run of the same source and working ion before {later}; name two runs, as in "
            "`lihop runs diff FIRST SECOND`"
        )
    return str(found[0])


def _card(connection: duckdb.DuckDBPyConnection, run_id: str) -> Record:
    """Return the card of a run."""
    (summary,) = ask(connection, "SELECT * FROM run_summary WHERE run_id = $run", {"run": run_id}).records()
    (settings,) = ask(
        connection, "SELECT settings_json FROM runs WHERE run_id = $run", {"run": run_id}
    ).records()
    reasons = ask(
        connection,
        "SELECT reason, count(*) AS n FROM run_failures WHERE run_id = $run GROUP BY reason "
        "ORDER BY n DESC, reason",
        {"run": run_id},
    ).records()
    return summary | {
        "settings": json.loads(settings["settings_json"]),
        "failures_by_reason": {row["reason"]: row["n"] for row in reasons},
    }


def _head(card: Record) -> Record:
    return {
        name: card[name] for name in ("run_id", "name", "status", "started_at", "n_materials", "n_ranked")
    }


def _pairs(before: Record, after: Record) -> dict[str, list[Any]]:
    """Return what differs between two dicts, by name a pair of values."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _outcomes(connection: duckdb.DuckDBPyConnection, run_id: str) -> dict[tuple[str, str, str], Record]:
    """Return what became of each material of a run, by identifier, working ion and state of charge."""
    rows = ask(connection, _OUTCOMES, {"run": run_id}).records()
    return {(row["material_id"], row["working_ion"], row["state"]): row for row in rows}


def _compare(
    before: dict[tuple[str, str, str], Record], after: dict[tuple[str, str, str], Record]
) -> dict[str, Any]:
    """Return what came, went and changed."""
    found: dict[str, Any] = {
        "came": [after[key] for key in sorted(after.keys() - before.keys())],
        "went": [before[key] for key in sorted(before.keys() - after.keys())],
        "newly_failing": [],
        "newly_succeeding": [],
        "changed": [],
        "n_same": 0,
    }
    for key in sorted(before.keys() & after.keys()):
        one, other = before[key], after[key]
        changes = {name: [one[name], other[name]] for name in _COMPARED if _differ(one[name], other[name])}
        if None in changes.get("structure_hash", ()):
            # That there was no structure is what the reason says.
            del changes["structure_hash"]
        if not changes:
            found["n_same"] += 1
            continue
        entry = {name: other[name] for name in ("material_id", "working_ion", "state", "formula")}
        found[_kind(one, other)].append(entry | {"changes": changes})
    return found


def _kind(one: Record, other: Record) -> str:
    """Return which list a material belongs to."""
    if one["reason"] is None and other["reason"] is not None:
        return "newly_failing"
    return "newly_succeeding" if one["reason"] is not None and other["reason"] is None else "changed"


def _differ(one: object, other: object) -> bool:
    """Tell whether two values differ by more than the rounding of a network."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) > SAME_BARRIER_EV
    return one != other
