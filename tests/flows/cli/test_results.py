"""What the database holds: ranking, cards, SQL and failures, as tables and as JSON."""

from __future__ import annotations

import json
import re

import pytest

from storage.catalog import schema_page
from tests.campaigns import GOOD


class TestRank:
    def test_json(self, lihop, database):
        result = lihop("rank", "--json")
        rows = json.loads(result.out)
        assert result.code == 0
        keys = {
            "formula", "percolation_dim", "barrier_at_dim_ev", "barrier_1d_ev", "barrier_2d_ev",
            "barrier_3d_ev", "lower_ev", "upper_ev", "in_domain", "e_above_hull_ev", "average_voltage_v",
            "capacity_mah_g",
        }  # fmt: skip
        assert all(keys <= set(row) for row in rows)
        barriers = [row["barrier_at_dim_ev"] for row in rows]
        known = [barrier for barrier in barriers if barrier is not None]
        assert barriers == sorted(known) + [None] * (len(barriers) - len(known))
        assert [row["rank"] for row in rows][: len(known)] == list(range(1, len(known) + 1))
        assert all(row["reason"] for row in rows[len(known) :])

    def test_table_and_hints(self, lihop, database):
        result = lihop("rank", "--hints")
        assert result.code == 0
        assert all(name in result.out for name in GOOD)
        assert "What to do next" in result.out

    def test_by_any_column(self, lihop, database):
        rows = json.loads(
            lihop("rank", "--json", "--by", "capacity_mah_g", "--descending", "--limit", "3").out
        )
        found = [row["capacity_mah_g"] for row in rows]
        assert len(found) == 3
        assert found == sorted(found, reverse=True)

    def test_unknown_column(self, lihop, database):
        result = lihop("rank", "--by", "prettiness")
        assert result.code == 2
        assert result.is_one_message
        assert "'prettiness'" in result.err
        assert "barrier_at_dim_ev" in result.err

    def test_no_database(self, lihop, tmp_path):
        result = lihop("rank", "--database", tmp_path / "none.duckdb")
        assert result.code == 2
        assert result.is_one_message
        assert "none.duckdb" in result.err
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_no_database(self, lihop, tmp_path):
        (tmp_path / "x.duckdb").write_text("not a database, but long enough to look like a file" * 10)
        result = lihop("rank", "--database", tmp_path / "x.duckdb")
        assert result.code == 2
        assert result.is_one_message


class TestShow:
    def test_json(self, lihop, database):
        card = json.loads(lihop("show", "lif.cif", "--json").out)
        assert card["material"]["formula"] == "LiF"
        assert len(card["sites"]) == 1
        assert card["hops"][0]["distance_ang"] == pytest.approx(4.03 / 2**0.5, abs=1e-4)
        assert card["percolation"]["percolation_dim"] == card["material"]["percolation_dim"]
        assert card["failures"] == []

    def test_by_formula_in_any_case(self, lihop, database):
        result = lihop("show", "licoo2")
        assert result.code == 0
        assert "licoo2.cif" in result.out
        assert re.search(r"percolates in \d-D along", result.out)

    def test_a_material_without_result_says_why(self, lihop, database):
        result = lihop("show", "walled.cif")
        assert result.code == 0
        assert "no percolation barrier: no_hops" in result.out
        assert "host_atom" in result.out

    def test_unknown_material(self, lihop, database):
        result = lihop("show", "unobtainium")
        assert result.code == 2
        assert result.is_one_message
        assert "'unobtainium'" in result.err
        assert "lihop rank" in result.err


class TestSql:
    def test_json(self, lihop, database):
        result = lihop(
            "sql", "SELECT DISTINCT formula, n_sites FROM candidates WHERE formula = 'LiF'", "--json"
        )
        assert result.code == 0
        assert json.loads(result.out) == [{"formula": "LiF", "n_sites": 2}]

    def test_schema_needs_no_database(self, lihop, tmp_path):
        nowhere = ("--db", str(tmp_path / "none.duckdb"))
        result = lihop("sql", "--schema", *nowhere)
        assert result.code == 0
        assert "view rankings" in result.out
        assert "table hops" in result.out
        assert lihop("sql", "--schema", "--markdown", *nowhere).out == schema_page()
        records = json.loads(lihop("sql", "--schema", "--json", *nowhere).out)
        assert {"hops", "rankings"} <= {record["name"] for record in records}
        assert not list(tmp_path.glob("none*"))

    @pytest.mark.parametrize(
        "given", [["--markdown"], ["--schema", "--json", "--markdown"], ["FROM hops", "--schema"]]
    )
    def test_flags_that_do_not_go_together(self, lihop, given):
        result = lihop("sql", *given)
        assert result.code == 2
        assert result.is_one_message

    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TABLE hops",
            "INSERT INTO hops SELECT * FROM hops",
            "CREATE TABLE x AS SELECT 1",
            "SELECT 1; SELECT 2",
            "SELECT * FROM '/etc/passwd'",
            "SELECT nothing FROM rankings",
            "not sql at all",
            "",
        ],
    )
    def test_what_is_refused(self, lihop, database, statement):
        before = database.read_bytes()
        result = lihop("sql", statement)
        assert result.code == 2
        assert result.is_one_message
        assert database.read_bytes() == before

    def test_no_statement(self, lihop, database):
        result = lihop("sql")
        assert result.code == 2
        assert "--schema" in result.err


class TestFailures:
    def test_json_by_reason(self, lihop, database):
        rows = json.loads(lihop("failures", "--json", "--reason", "unreadable_file").out)
        assert {row["material_id"] for row in rows} == {"broken.cif", "empty.cif", "binary.cif"}

    def test_table(self, lihop, database):
        result = lihop("failures", "--run", "latest")
        assert result.code == 0
        assert "partly.cif" in result.out

    @pytest.mark.parametrize("flag", ["--reason", "--stage", "--run"])
    def test_a_word_that_there_is_not(self, lihop, database, flag):
        result = lihop("failures", flag, "bad luck")
        assert result.code == 2
        assert "Traceback" not in result.err
        assert "bad luck" in result.err
        allowed = {"--reason": "time_limit", "--stage": "percolation", "--run": "latest"}
        assert allowed[flag] in result.err
