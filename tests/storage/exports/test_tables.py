"""Files hold what the question returned, with its types, whole or not at all."""

import csv
import io
import json
from datetime import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import queries
from storage.database import reading
from storage.errors import QueryError
from storage.exports.places import Names, format_of, refuse_database
from storage.exports.tables import write_csv, write_stream
from storage.recorder import Recorder
from storage.streams import BATCH_ROWS, streaming

EVERYTHING = """
    SELECT 'a "b",\nü' AS text, 0.1 + 0.2::DOUBLE AS number, [[0, 1], NULL] AS orbit, NULL AS nothing,
        NULL::INTEGER[] AS no_list, TIMESTAMP '2026-03-01 12:00:00' AS at, 1.50::DECIMAL(6, 2) AS price,
        true AS yes, sum(7) AS total, 'b'::ENUM ('a', 'b') AS letter, '' AS empty, DATE '2026-01-02' AS day,
        {'a': 1} AS pair, MAP {'k': 2} AS map, INTERVAL 36 HOUR AS lasting, 'x'::BLOB AS bytes,
        'nan'::DOUBLE AS no_number, 2::HUGEINT AS huge
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory, make):
    recorder = Recorder(tmp_path_factory.mktemp("published") / "lihop.duckdb")
    recorder.record(rows=[make.run(), *make.material("m1", 0.3), *make.material("m2", 0.2)])
    recorder.publish()
    return recorder.paths.published


def written(db, statement, path, file_format=None, **limits):
    with reading(db) as connection, streaming(connection, statement, **limits) as stream:
        write_stream(stream, path, file_format)
        return stream


def test_csv(db, tmp_path):
    written(db, EVERYTHING, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "text": 'a "b",\nü', "number": "0.30000000000000004", "orbit": "[[0, 1], null]", "nothing": "",
        "no_list": "", "at": "2026-03-01 12:00:00.000000", "price": "1.50", "yes": "true", "total": "7",
        "letter": "b", "empty": "", "day": "2026-01-02", "pair": '{"a": 1}', "map": '{"k": 2}',
        "lasting": "129600.0", "bytes": "eA==", "no_number": "nan", "huge": "2",
    }  # fmt: skip


def test_csv_tells_an_empty_text_from_null_and_reads_back(db, tmp_path):
    written(
        db, "SELECT * FROM (VALUES (1, 'a', NULL), (2, '', 0.0)) AS t(n, text, number)", tmp_path / "a.csv"
    )
    assert (tmp_path / "a.csv").read_text().splitlines()[1:] == ['1,"a",', '2,"",0.0']
    assert duckdb.sql(f"FROM '{tmp_path / 'a.csv'}' SELECT number").fetchall() == [(None,), (0.0,)]


def test_json_is_what_the_same_question_prints(db, tmp_path):
    for statement in (EVERYTHING, "FROM rankings", "FROM runs", "FROM hops"):
        written(db, statement, tmp_path / "deep" / "a.json")
        found = json.loads((tmp_path / "deep" / "a.json").read_text())
        assert repr(found) == repr(queries.sql(db, statement).records())
    written(db, "FROM rankings LIMIT 0", tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_parquet_keeps_types(db, tmp_path):
    written(db, EVERYTHING.replace("INTERVAL 36 HOUR", "1"), tmp_path / "a.out", "parquet")
    table = pq.read_table(tmp_path / "a.out")
    kinds = {field.name: field.type for field in table.schema}
    assert kinds["orbit"].equals(pa.list_(pa.field("l", pa.list_(pa.field("l", pa.int32())))))
    assert kinds["at"] == pa.timestamp("us")
    assert kinds["price"] == pa.decimal128(6, 2)
    assert kinds["no_list"].equals(pa.list_(pa.field("l", pa.int32())))
    (row,) = table.to_pylist()
    assert row["price"] == Decimal("1.50")
    assert row["at"] == datetime(2026, 3, 1, 12)  # noqa: DTZ001 - stored without a zone
    assert (row["orbit"], row["nothing"], row["no_list"]) == ([[0, 1], None], None, None)


def test_a_column_without_a_value_keeps_its_type(db, tmp_path):
    written(db, "SELECT e_above_hull_ev, ordering FROM rankings", tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.types == [pa.float64(), pa.string()]
    assert table.to_pylist() == [{"e_above_hull_ev": None, "ordering": None}] * 2


def test_no_rows_are_a_file_with_columns(db, tmp_path):
    for ending in ("csv", "parquet"):
        written(db, "SELECT material_id, lower_ev FROM rankings LIMIT 0", tmp_path / f"a.{ending}")
    assert (tmp_path / "a.csv").read_text() == '"material_id","lower_ev"\n'
    assert pq.read_table(tmp_path / "a.parquet").schema.names == ["material_id", "lower_ev"]


def test_columns_of_one_name_are_numbered_as_in_answers(db, tmp_path):
    statement = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a"
    written(db, statement, tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == queries.sql(db, statement).records()


@pytest.mark.parametrize("n", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS])
def test_a_limit_cuts_where_it_says_and_tells(db, tmp_path, n):
    many = 3 * BATCH_ROWS
    stream = written(db, f"FROM range({many})", tmp_path / "a.parquet", limit=n)
    assert pq.read_table(tmp_path / "a.parquet")["range"].to_pylist() == list(range(n))
    assert (stream.n_rows, stream.truncated) == (n, n < many)


def test_batches_and_no_more_are_held(db):
    """A statement whose whole answer would fill memory is answered at once, as far as it is asked."""
    sink = io.BytesIO()
    with reading(db) as connection:
        endless = "SELECT a.range AS a FROM range(1000000000) AS a, range(1000000) AS b"
        with streaming(connection, endless, limit=25_000, time_limit_s=60) as stream:
            write_csv(stream, sink)
    assert sink.getvalue().count(b"\n") == 25_001


def test_what_does_not_fit_is_refused_and_leaves_the_old_file(db, tmp_path):
    (tmp_path / "a.parquet").write_text("old")
    with pytest.raises(QueryError, match=r"does not fit Parquet: .*interval.*csv or json"):
        written(db, "SELECT INTERVAL 1 DAY AS a", tmp_path / "a.parquet")
    with pytest.raises(QueryError, match=r"longer than 0\.3 s"):
        written(
            db, "SELECT count(*) FROM range(10000000000) AS a, range(1000) AS b", tmp_path / "a.parquet",
            time_limit_s=0.3,
        )  # fmt: skip
    # Also in the middle of an answer.
    with pytest.raises(QueryError, match=r"longer than 0\.3 s"):
        written(
            db, "SELECT a.range FROM range(10000000000) AS a, range(1000) AS b", tmp_path / "a.csv",
            time_limit_s=0.3,
        )  # fmt: skip
    late = "SELECT CASE WHEN range > 50000 THEN 'x' ELSE '1' END::INTEGER AS a FROM range(100000)"
    with pytest.raises(QueryError, match="Could not convert"):
        written(db, late, tmp_path / "a.csv")
    with pytest.raises(QueryError, match=r"a\.xlsx ends in no format; allowed are csv, json, parquet"):
        written(db, "SELECT 1", tmp_path / "a.xlsx")
    with pytest.raises(QueryError, match="cannot be written"):
        written(db, "SELECT 1", tmp_path / "a.parquet" / "b.csv")
    with pytest.raises(QueryError, match="cannot be written"):
        written(db, "SELECT 1", tmp_path, "csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.parquet", "old")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs SELECT * FROM runs", "COPY runs TO '{outside}'", "ATTACH '{outside}'",
        "SELECT * FROM read_text('{secret}')", "SELECT * FROM '{secret}'", "LOAD httpfs",
        "SET enable_external_access = true", "SELECT 1; SELECT 2", "CREATE TABLE memory.x (i INTEGER)",
        "SELECT * FROM a_table_in_python", "SELECT * FROM glob('{folder}/*')",
    ],
)  # fmt: skip
def test_streams_do_nothing_but_read(db, statement, tmp_path):
    a_table_in_python = pa.table({"a": [1]})
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    before = db.read_bytes()
    text = statement.format(outside=tmp_path / "outside", secret=secret, folder=tmp_path)
    with pytest.raises(QueryError):
        written(db, text, tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert db.read_bytes() == before
    assert a_table_in_python.num_rows == 1


def test_parameters(db):
    with reading(db) as connection:
        with streaming(connection, "SELECT $a AS a", {"a": "x"}) as stream:
            assert stream.table().to_pylist() == [{"a": "x"}]
        with pytest.raises(QueryError, match="negative"), streaming(connection, "SELECT 1", limit=-1):
            pass


def test_formats(tmp_path):
    assert format_of(tmp_path / "a.CSV", None, ("csv", "json")) == "csv"
    assert format_of(tmp_path / "a.csv", "JSON", ("csv", "json")) == "json"
    with pytest.raises(QueryError, match=r"no format 'xml'; allowed are csv, json"):
        format_of(tmp_path / "a.csv", "xml", ("csv", "json"))


def test_the_database_is_not_written_over(db):
    for path in (db, db.parent / ".." / db.parent.name / db.name, db.with_name(f"{db.name}.work") / "a.csv"):
        with pytest.raises(QueryError, match="belongs to the database"):
            refuse_database(path, db)
    refuse_database(db.with_suffix(".csv"), db)


def test_names_are_distinct_and_stay_in_their_folder():
    names = Names()
    given = ["mp-1", "MP-1", "mp-1", "../../etc/passwd", "", "..", "a/b:c.cif", "é" * 3, "x" * 300]
    found = [names.stem(name, "deadbeef01") for name in given]
    assert found[:4] == ["mp-1", "MP-1_deadbeef", "mp-1_deadbeef_2", "etc_passwd"]
    assert len({name.lower() for name in found}) == len(found)
    assert all(name and "/" not in name and not name.startswith(".") and len(name) < 200 for name in found)
