"""Results from Python: one state of a database, open for reading, as tables and crystals."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from storage.connections import explaining
from storage.database import reading
from storage.errors import QueryError, StorageError
from storage.exports.frames import KINDS, convert
from storage.exports.materials import atoms_of, structure_of, with_structures
from storage.queries import material_in
from storage.streams import streaming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import duckdb
    from ase import Atoms
    from pymatgen.core import Structure

    from storage.asking import Record

As = Literal["arrow", "pandas", "polars"]

DISCHARGED = "discharged"


class Results:
    """A database's results as they were when it was opened, to be read only.

    `storage.open` makes one. Whatever a screening publishes meanwhile, all questions are answered from the
    same state; open it again to see what is new. Close it, or use it as a context manager.

    Every table is a `pyarrow.Table` unless ``as_="pandas"`` or ``as_="polars"`` asks for a data frame. Null
    means unknown. Columns and their units are listed by ``lihop sql --schema``.

    Parameters
    ----------
    database : str or Path
        The published DuckDB file.

    Raises
    ------
    StorageError
        When there is no such database or it cannot be used, with what to do about it.
    """

    def __init__(self, database: str | Path) -> None:
        self.path = Path(database).absolute()
        self._stack = ExitStack()
        self._open: duckdb.DuckDBPyConnection | None = self._stack.enter_context(reading(self.path))

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        return f"<results of {self.path}{', closed' if self._open is None else ''}>"

    def close(self) -> None:
        """Let go of the file; closing twice does no harm."""
        self._open = None
        self._stack.close()

    def rankings(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401 - the kind of table that is asked for
        """Return a row a material, the lowest barrier first: the view `rankings`.

        Parameters
        ----------
        as_ : {"arrow", "pandas", "polars"}
            What to return.

        Returns
        -------
        pyarrow.Table, pandas.DataFrame or polars.DataFrame
            Barriers in eV. `reason` says why a material has none.
        """
        return self._table("rankings", as_)

    def hops(self, material: str | None = None, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the distinct hops of each material's newest result, with the best barrier known for each.

        That is the view `hop_barriers`; the table `hops` also holds earlier results, orbits and paths.

        Parameters
        ----------
        material : str, optional
            Identifier, hash, formula or name; all that fit are taken. By default every material.
        as_ : {"arrow", "pandas", "polars"}
            What to return.

        Returns
        -------
        pyarrow.Table, pandas.DataFrame or polars.DataFrame
            `barrier_ev` with `method`, interval and convergence; lengths in Å.

        Raises
        ------
        QueryError
            When no material is called that.
        """
        if material is None:
            return self._table("hop_barriers", as_)
        hashes = sorted({row["structure_hash"] for row in self._rows_of(material)})
        ordered = (
            "SELECT * FROM hop_barriers WHERE list_contains($hashes, structure_hash) "
            "ORDER BY structure_hash, working_ion, distance_ang, i, j, ox, oy, oz, vacancy"
        )
        return self._ask(ordered, as_, {"hashes": hashes})

    def predictions(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the table `predictions`: every barrier that was ever predicted, as `rankings` returns it."""
        return self._table("predictions", as_)

    def percolation(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the table `percolation`: every percolation result, as `rankings` returns it."""
        return self._table("percolation", as_)

    def candidates(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the table `candidates`, structures as JSON included, as `rankings` returns it."""
        return self._table("candidates", as_)

    def failures(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the table `failures`: what has no result, and why, as `rankings` returns it."""
        return self._table("failures", as_)

    def runs(self, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the view `run_summary`, the newest run first, as `rankings` returns it."""
        return self._ask("SELECT * FROM run_summary ORDER BY started_at DESC, run_id DESC", as_)

    def sql(self, statement: str, parameters: Mapping[str, Any] | None = None, *, as_: As = "arrow") -> Any:  # noqa: ANN401
        """Return the answer to one reading statement.

        Parameters
        ----------
        statement : str
            One SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.
        parameters : mapping, optional
            Values of named parameters: ``{"d": 2}`` for ``$d``.
        as_ : {"arrow", "pandas", "polars"}
            What to return.

        Returns
        -------
        pyarrow.Table, pandas.DataFrame or polars.DataFrame
            Of columns with one name the later ones carry a number.

        Raises
        ------
        QueryError
            When the statement is wrong, is no read, or reaches for another file.
        """
        return self._ask(statement, as_, parameters)

    def structure(self, material: str, *, state: str | None = None) -> Structure:
        """Return a material's cleaned structure, sites in the order that hops count them in.

        Parameters
        ----------
        material : str
            Identifier, hash, formula or name.
        state : {"discharged", "charged"}, optional
            State of charge; by default discharged where there are both.

        Returns
        -------
        pymatgen.core.Structure
            `properties` holds its identifiers, the site property `oxidation_state` charges where known.

        Raises
        ------
        QueryError
            When nothing fits, or several materials do.
        """
        return structure_of(self._one(material, state))

    def atoms(self, material: str, *, state: str | None = None) -> Atoms:
        """Return a material's cleaned structure as `ase.Atoms`, as `structure` does.

        `info` holds its identifiers, the array `oxidation_state` charges where all are known.
        """
        return atoms_of(self._one(material, state))

    def _one(self, material: str, state: str | None) -> Record:
        """Return the one row that a name stands for, with its structure."""
        rows = self._rows_of(material)
        states = sorted({row["state"] for row in rows})
        wanted = (DISCHARGED if len(states) > 1 else states[0]) if state is None else state
        found = [row for row in rows if row["state"] == wanted]
        if not found:
            raise QueryError(f"{material} was not screened {wanted}; allowed are {', '.join(states)}")
        if len(found) > 1:
            names = ", ".join(row["material_id"] for row in found)
            raise QueryError(
                f"{len(found)} materials are called {material!r}: name one by identifier ({names})"
            )
        with self._asking() as connection:
            (row,) = with_structures(connection, found)
        return row

    def _rows_of(self, material: str) -> list[Record]:
        with self._asking() as connection:
            rows = material_in(connection, material)
        if not rows:
            raise QueryError(
                f"no material is called {material!r} in {self.path}; rankings() lists those there are"
            )
        return rows

    def _table(self, name: str, as_: str) -> Any:  # noqa: ANN401
        return self._ask(f'SELECT * FROM "{name}"', as_)  # noqa: S608 - names of ours

    def _ask(self, statement: str, as_: str, parameters: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        if as_ not in KINDS:
            raise QueryError(f"as_={as_!r}: allowed are {', '.join(KINDS)}")
        with self._asking() as connection, streaming(connection, statement, parameters) as stream:
            table = stream.table()
        return convert(table, as_)

    @contextmanager
    def _asking(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._open is None:
            raise StorageError(f"the results of {self.path} were closed; open them again with storage.open")
        with explaining(self.path):
            yield self._open
