"""The command line: exit codes, messages that say what was given and allowed, JSON that scripts rely on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from flows.cli.main import main
from tests.campaigns import GOOD, Bench, write_bad, write_cif, write_good


@pytest.fixture
def lihop(monkeypatch, capsys):
    """Run the command in this process; return its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lihop", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture(scope="session")
def screened(tmp_path_factory, checkpoint):
    """A database that holds good and bad materials."""
    bench = Bench(tmp_path_factory.mktemp("screened"), checkpoint)
    write_good(bench.folder)
    write_bad(bench.folder)
    bench.screen(max_file_mb=0.2)
    return bench


@pytest.fixture
def database(screened, monkeypatch):
    monkeypatch.setenv("LIHOP_DATABASE", str(screened.database))
    return screened.database


def is_one_message(result):
    """Whether an expected error ends in a message and no traceback."""
    said = [line for line in result.err.splitlines() if line.startswith("lihop: ")]
    return "Traceback" not in result.err and len(said) == 1


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
        assert is_one_message(result)
        assert "'prettiness'" in result.err
        assert "barrier_at_dim_ev" in result.err

    def test_no_database(self, lihop, tmp_path):
        result = lihop("rank", "--database", tmp_path / "none.duckdb")
        assert result.code == 2
        assert is_one_message(result)
        assert "none.duckdb" in result.err
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_no_database(self, lihop, tmp_path):
        (tmp_path / "x.duckdb").write_text("not a database, but long enough to look like a file" * 10)
        result = lihop("rank", "--database", tmp_path / "x.duckdb")
        assert result.code == 2
        assert is_one_message(result)


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
        assert is_one_message(result)
        assert "'unobtainium'" in result.err
        assert "lihop rank" in result.err


class TestSql:
    def test_json(self, lihop, database):
        result = lihop(
            "sql", "SELECT DISTINCT formula, n_sites FROM candidates WHERE formula = 'LiF'", "--json"
        )
        assert result.code == 0
        assert json.loads(result.out) == [{"formula": "LiF", "n_sites": 2}]

    def test_schema(self, lihop, database):
        result = lihop("sql", "--schema")
        assert result.code == 0
        assert "view rankings" in result.out
        assert "table hops" in result.out

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
        assert is_one_message(result)
        assert database.read_bytes() == before

    def test_no_statement(self, lihop, database):
        result = lihop("sql")
        assert result.code == 2
        assert "--schema" in result.err

    def test_cut_off_rows_are_announced(self, lihop, database):
        assert "more than 2 rows" in lihop("sql", "FROM candidates", "--limit", "2").out
        assert "more than" not in lihop("sql", "FROM candidates LIMIT 2", "--limit", "2").out


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


class TestScreen:
    def test_plain_run(self, lihop, bench):
        write_good(bench.folder, ("lif.cif",))
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        result = lihop("screen", *flags, "--no-prefect", "--workers", "1", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert (found["n_items"], found["n_computed"], found["n_with_result"]) == (1, 1, 1)
        text = lihop("screen", *flags, "--no-prefect", "--workers", "1")
        assert text.code == 0
        assert "1 known already, 1 with a percolation result" in text.out

    def test_nothing_usable(self, lihop, bench):
        (bench.folder / "a.cif").write_text("nothing")
        result = lihop(
            "screen", "--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database,
            "--no-prefect", "--workers", "1",
        )  # fmt: skip
        assert result.code == 1
        assert "1 unreadable_file" in result.out
        assert "no material has a result" in result.err

    def test_empty_folder(self, lihop, bench):
        result = lihop("screen", "--path", bench.folder, "--model", bench.checkpoint, "--no-prefect")
        assert result.code == 1
        assert "no structure file in the folder" in result.err
        assert "CIF" in result.err

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--source", "files", "--path", "nowhere"], ["nowhere", "no such file or folder"]),
            (["--source", "files"], ["needs a path"]),
            (["--source", "reference", "--path", "."], ["'reference'", "'files'"]),
            (["--source", "moon"], ["source", "'moon'", "'reference' or 'files'"]),
            (["--limit", "0"], ["limit", "greater than or equal to 1"]),
            (["--max-sites", "1"], ["max_sites", "greater than or equal to 2"]),
            (["--cutoff-ang", "-1"], ["cutoff_ang", "greater than 0"]),
            (["--working-ion", "Xe"], ["working_ion", "'Xe'", "'Li'"]),
            (["--retry", "bad luck"], ["bad luck", "time_limit"]),
            (["--model", "nothing"], ["nothing", "lihop train"]),
            (["--path", "notes.txt"], ["notes.txt", "known are CIF"]),
        ],
    )
    def test_bad_usage(self, lihop, checkpoint, tmp_path, flags, words):
        (tmp_path / "notes.txt").write_text("a note")
        given = flags if "--model" in flags else [*flags, "--model", checkpoint]
        result = lihop("screen", *given, "--no-prefect")
        assert result.code == 2, result.err
        assert "Traceback" not in result.err
        assert all(word in result.err for word in words), result.err
        assert not list(tmp_path.glob("*.duckdb"))

    def test_a_checkpoint_for_other_descriptors(self, lihop, bench):
        write_good(bench.folder, ("lif.cif",))
        folder = shutil.copytree(bench.checkpoint, bench.folder.parent / "old")
        manifest = json.loads((folder / "model.json").read_text())
        manifest["spec"]["groups"][0]["version"] += 1
        (folder / "model.json").write_text(json.dumps(manifest))
        result = lihop(
            "screen", "--path", bench.folder, "--model", folder, "--database", bench.database, "--no-prefect",
            "--workers", "1",
        )  # fmt: skip
        assert result.code == 2
        assert is_one_message(result)

    def test_estimate(self, lihop, bench):
        write_good(bench.folder)
        expected = write_bad(bench.folder)
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        flags += ["--max-file-mb", "0.2", "--workers", "1"]
        result = lihop("screen", *flags, "--estimate", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert found["n_items"] == len(GOOD) + len(expected)
        assert found["n_items"] == found["n_candidates"] + found["n_refused"]
        assert found["n_known"] == 0
        assert found["n_hops"] > len(GOOD)
        assert found["seconds"] > 0
        bench.screen(max_file_mb=0.2)
        again = json.loads(lihop("screen", *flags, "--estimate", "--json").out)
        assert (again["n_known"], again["n_hops"]) == (again["n_candidates"], 0)
        text = lihop("screen", *flags, "--estimate")
        assert "hops to describe and predict" in text.out

    def test_estimate_survives_what_a_screening_survives(self, lihop, bench, monkeypatch):
        from flows import estimate

        def fail(*_args, **_named):
            raise ArithmeticError("no luck")

        write_good(bench.folder, ("lif.cif",))
        monkeypatch.setattr(estimate, "hop_network", fail)
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
        result = lihop("screen", *flags, "--estimate", "--json", "--workers", "1")
        assert result.code == 0
        assert json.loads(result.out)["n_hops"] == 0


class TestSettings:
    """Flags go before LIHOP_*, and these before lihop.toml."""

    def estimated(self, lihop, *flags):
        return json.loads(lihop("screen", *flags, "--estimate", "--json").out)["n_candidates"]

    def test_precedence(self, lihop, bench, monkeypatch, tmp_path):
        write_good(bench.folder)
        (tmp_path / "lihop.toml").write_text(
            f'source = "files"\npath = "{bench.folder}"\nmodel = "{bench.checkpoint}"\n'
            f'database = "{bench.database}"\nworkers = 1\nlimit = 1\n'
        )
        assert self.estimated(lihop) == 1
        monkeypatch.setenv("LIHOP_LIMIT", "2")
        assert self.estimated(lihop) == 2
        assert self.estimated(lihop, "--limit", "3") == 3

    @pytest.mark.parametrize("command", [["rank"], ["screen"], ["doctor"], ["sql", "SELECT 1"]])
    def test_an_unknown_name_is_refused(self, lihop, tmp_path, command):
        (tmp_path / "lihop.toml").write_text("max_site = 40\n")
        result = lihop(*command)
        assert result.code == 2
        assert is_one_message(result)
        assert "max_site" in result.err

    def test_a_file_that_is_no_toml(self, lihop, tmp_path):
        (tmp_path / "lihop.toml").write_text("limit 40\n")
        result = lihop("rank")
        assert result.code == 2
        assert is_one_message(result)
        assert "lihop.toml" in result.err

    def test_a_bad_value_in_the_environment(self, lihop, monkeypatch):
        monkeypatch.setenv("LIHOP_LIMIT", "many")
        result = lihop("rank")
        assert result.code == 2
        assert is_one_message(result)
        assert "'many'" in result.err

    def test_a_list_in_the_environment(self, lihop, monkeypatch, database):
        monkeypatch.setenv("LIHOP_RETRY", "time_limit")
        result = lihop("rank", "--json")
        assert result.code in {0, 2}
        assert "Traceback" not in result.err
        monkeypatch.setenv("LIHOP_RETRY", '["time_limit"]')
        assert lihop("rank", "--json").code == 0


class TestData:
    def test_descriptors(self, lihop):
        rows = json.loads(lihop("data", "descriptors", "--json").out)
        assert {"group", "key", "shape", "unit", "meaning", "reference"} <= set(rows[0])

    def test_hops_of_a_file(self, lihop, tmp_path):
        path = write_cif(GOOD["lif.cif"], tmp_path / "lif.cif")
        found = json.loads(lihop("data", "hops", path, "--json").out)
        assert found["hops"][0]["multiplicity"] == 6
        assert len(found["hops"][0]["orbit"]) == 6
        assert lihop("data", "hops", path).code == 0

    def test_hops_of_a_reference_material(self, lihop):
        found = json.loads(lihop("data", "hops", "LiFePO4", "--json").out)
        assert found["hops"][0]["distance_ang"] == pytest.approx(3.0, abs=0.05)

    def test_hops_of_what_is_not_there(self, lihop):
        result = lihop("data", "hops", "unobtainium")
        assert result.code == 2
        assert is_one_message(result)
        assert "ref-lifepo4" in result.err

    @pytest.mark.parametrize("name", ["no-ion.cif", "partly.cif", "broken.cif", "overlap.cif"])
    def test_hops_of_a_bad_file(self, lihop, tmp_path, name):
        write_bad(tmp_path)
        result = lihop("data", "hops", tmp_path / name)
        assert result.code == 2
        assert is_one_message(result)

    def test_hops_with_a_bad_cutoff(self, lihop):
        result = lihop("data", "hops", "LiFePO4", "--cutoff-ang", "-3")
        assert result.code == 2
        assert is_one_message(result)


class TestDoctor:
    def test_json(self, lihop, database, screened, monkeypatch):
        monkeypatch.setenv("LIHOP_MODEL", str(screened.checkpoint))
        result = lihop("doctor", "--json")
        checks = {row["check"]: row for row in json.loads(result.out)}
        assert all(set(row) == {"check", "ok", "detail", "remedy"} for row in checks.values())
        assert {"python", "packages", "model", "disk", "database", "devi2025"} <= set(checks)
        assert checks["model"]["ok"]
        assert checks["database"]["ok"]
        assert result.code == int(
            not all(checks[name]["ok"] for name in ("python", "packages", "model", "disk"))
        )

    def test_a_missing_model_is_exit_code_1(self, lihop, monkeypatch):
        monkeypatch.setenv("LIHOP_MODEL", "nothing")
        result = lihop("doctor", "--json")
        checks = {row["check"]: row for row in json.loads(result.out)}
        assert result.code == 1
        assert not checks["model"]["ok"]
        assert "lihop train" in checks["model"]["remedy"]


class TestHelp:
    @pytest.mark.parametrize(
        "command",
        ["", "screen", "rank", "show", "sql", "failures", "train", "evaluate", "data", "data hops", "doctor"],
    )
    def test_every_command_has_help(self, lihop, command):
        result = lihop(*command.split(), "--help")
        assert result.code == 0
        assert "Usage" in result.out

    @pytest.mark.parametrize("arguments", [["fly"], ["rank", "--colour"], ["rank", "--limit", "x"], ["show"]])
    def test_bad_usage(self, lihop, arguments):
        result = lihop(*arguments)
        assert result.code == 2
        assert "Traceback" not in result.err

    def test_version(self, lihop):
        assert re.fullmatch(r"lihop \d+\.\d+\.\d+\n", lihop("--version").out)

    def test_the_installed_command(self):
        found = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "--version"], capture_output=True, text=True, check=True
        )
        assert found.stdout.startswith("lihop ")
