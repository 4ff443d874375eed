"""Results from Python: one state while it is open, as the kind of table that is asked for."""

import sys
import types

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import storage
from storage import queries
from storage.errors import DatabaseMissingError, QueryError, StorageError
from storage.recorder import Recorder
from tests.storage.exports.crystals import candidate_of, rock_salt

TABLES = {
    "rankings": "rankings", "hops": "hop_barriers", "predictions": "predictions",
    "percolation": "percolation",
    "candidates": "candidates", "failures": "failures", "runs": "run_summary",
}  # fmt: skip
CRYSTAL, CHARGED = rock_salt(), rock_salt(a=4.4)


@pytest.fixture
def recorder(tmp_path, make):
    found = Recorder(tmp_path / "lihop.duckdb")
    failure = make.failure("m3")
    found.record(
        rows=[
            make.run("r1", day=0), make.run("r2", day=1),
            *make.material("m1", 0.3, formula="LiCoO2")[1:], candidate_of(make, "m1", CRYSTAL),
            candidate_of(make, "charged", CHARGED, material_id="m1", state="charged"),
            *make.material("m2", 0.2)[1:], candidate_of(make, "m2", CRYSTAL, oxidation_states=None),
            candidate_of(make, "m3", CRYSTAL, formula="LiFeO2"), failure, make.run_failure(failure, "r2"),
        ]
    )  # fmt: skip
    found.publish()
    return found


@pytest.fixture
def results(recorder):
    with storage.open(recorder.paths.published) as found:
        yield found


@pytest.mark.parametrize(("method", "relation"), TABLES.items())
def test_every_table_in_every_kind(recorder, results, method, relation):
    table = getattr(results, method)()
    assert isinstance(table, pa.Table)
    expected = queries.sql(recorder.paths.published, f"FROM {relation}")
    assert tuple(table.column_names) == expected.columns
    assert table.num_rows == len(expected.rows) > 0
    frame = getattr(results, method)(as_="pandas")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(expected.columns)
    assert len(frame) == len(expected.rows)


def test_order(results):
    assert results.rankings()["material_id"].to_pylist() == ["m2", "m1", "m1", "m3"]
    assert results.runs()["run_id"].to_pylist() == ["r2", "r1"]


def test_null_is_unknown_in_pandas_too(results):
    frame = results.rankings(as_="pandas")
    assert frame["percolation_dim"].dtype == pd.Int32Dtype()
    assert frame["percolation_dim"].isna().tolist() == [False, False, True, True]
    assert frame["percolation_dim"][0] == 1
    assert frame["in_domain"].dtype == pd.BooleanDtype()
    assert frame["barrier_at_dim_ev"].dtype == np.float64
    assert frame["e_above_hull_ev"].isna().all()


def test_polars_gets_the_same_rows_and_nulls_stay_nulls(results):
    import polars as pl

    columns = "material_id, rank, barrier_at_dim_ev, average_voltage_v, other_ids"
    asked = f"SELECT {columns} FROM rankings ORDER BY rank"
    frame = results.sql(asked, as_="polars")
    assert isinstance(frame, pl.DataFrame)
    table = results.sql(asked)
    assert frame.to_dicts() == table.to_pylist() != []
    assert frame["average_voltage_v"].null_count() == table["average_voltage_v"].null_count > 0
    assert results.hops(as_="polars").height == results.hops().num_rows > 0


def test_polars_is_asked_for_only_by_who_wants_it(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(QueryError, match="pip install polars"):
        results.rankings(as_="polars")
    stand_in = types.SimpleNamespace(from_arrow=lambda table: ("polars", table))
    monkeypatch.setitem(sys.modules, "polars", stand_in)
    kind, table = results.rankings(as_="polars")
    assert kind == "polars"
    assert table.equals(results.rankings())
    with pytest.raises(QueryError, match=r"as_='numpy': allowed are arrow, pandas, polars"):
        results.rankings(as_="numpy")


def test_hops_of_one_material(results):
    for name in ("m1", "hash-m1"):
        hops = results.hops(name)
        assert set(hops["material_id"].to_pylist()) == {"m1"}
        assert hops["barrier_ev"].to_pylist() == [0.2, 0.9]
    assert len(results.hops("m2", as_="pandas")) == 2
    assert results.hops("m3").num_rows == 0
    with pytest.raises(QueryError, match="no material is called 'm7'"):
        results.hops("m7")


def test_sql(results):
    found = results.sql("SELECT $x AS a, 2 AS a", {"x": 1})
    assert found.to_pylist() == [{"a": 1, "a_1": 2}]
    assert results.sql("SELECT 1 AS a", as_="pandas")["a"].tolist() == [1]
    for statement in ("DROP TABLE runs", "SELECT * FROM '/etc/passwd'", "SELECT 1; SELECT 2", "SELEC"):
        with pytest.raises(QueryError):
            results.sql(statement)
    # An error costs it nothing.
    assert results.sql("SELECT 1 AS a").num_rows == 1


def test_crystals(results):
    structure = results.structure("m1")
    assert np.allclose(structure.frac_coords, CRYSTAL.frac_coords)
    assert structure.properties["structure_hash"] == "hash-m1"
    assert structure.site_properties["oxidation_state"] == [-2.0, 1.0, 3.0, -2.0, 1.0, 3.0]
    assert np.allclose(results.structure("m1", state="charged").lattice.abc, CHARGED.lattice.abc)
    atoms = results.atoms("m2")
    assert np.allclose(atoms.cell.array, CRYSTAL.lattice.matrix)
    assert atoms.info["material_id"] == "m2"
    assert "oxidation_state" not in atoms.arrays
    with pytest.raises(QueryError, match=r"not screened charged; allowed are discharged"):
        results.atoms("m2", state="charged")
    with pytest.raises(QueryError, match=r"2 materials .* by identifier \(m2, m1\)"):
        results.structure(CRYSTAL.composition.reduced_formula)
    with pytest.raises(QueryError, match="no material is called 'm7'"):
        results.structure("m7")


def test_one_state_whatever_is_published_meanwhile(recorder, make):
    with storage.open(recorder.paths.published) as results:
        before = {method: getattr(results, method)() for method in TABLES}
        recorder.record(rows=make.material("m9", 0.1))
        assert recorder.publish()
        for method, table in before.items():
            assert getattr(results, method)().equals(table)
        with pytest.raises(QueryError, match="no material"):
            results.hops("m9")
        with storage.open(recorder.paths.published) as later:
            assert later.rankings()["material_id"][0].as_py() == "m9"
            assert results.rankings()["material_id"][0].as_py() == "m2"


def test_closed_and_missing(recorder, tmp_path):
    results = storage.open(recorder.paths.published)
    assert repr(results) == f"<results of {recorder.paths.published}>"
    results.close()
    results.close()
    assert repr(results) == f"<results of {recorder.paths.published}, closed>"
    with pytest.raises(StorageError, match=r"were closed; open them again with storage\.open"):
        results.rankings()
    with pytest.raises(StorageError, match="were closed"):
        results.structure("m1")
    with pytest.raises(DatabaseMissingError, match=r"none\.duckdb"):
        storage.open(tmp_path / "none.duckdb")
