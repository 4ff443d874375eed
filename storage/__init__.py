"""What remembers: row types, the DuckDB schema, Parquet shards, views, queries and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from storage.exports.results import Results

__all__ = ["open"]


def open(database: str | Path = "lihop.duckdb") -> Results:  # noqa: A001 - as in gzip.open, by its full name
    """Open a database to read results from Python.

    Parameters
    ----------
    database : str or Path
        The published DuckDB file.

    Returns
    -------
    storage.exports.results.Results
        One state of the database until it is closed: tables as Arrow, pandas or polars, structures as
        pymatgen's or ASE's.

    Raises
    ------
    StorageError
        When there is no such database or it cannot be used, with what to do about it.

    Examples
    --------
    >>> import storage
    >>> with storage.open("lihop.duckdb") as results:
    ...     ranking = results.rankings(as_="pandas")
    ...     fast = results.sql("SELECT formula FROM rankings WHERE barrier_at_dim_ev < $ev", {"ev": 0.3})
    ...     structure = results.structure("LiFePO4")
    """
    # Importing a row type must not wait for DuckDB and Arrow.
    from storage.exports.results import Results

    return Results(database)
