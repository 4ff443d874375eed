"""The command as a whole: help, version, and errors as one message."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.campaigns import write_good


class TestHelp:
    @pytest.mark.parametrize(
        "command",
        [
            "",
            "screen",
            "rank",
            "show",
            "sql",
            "failures",
            "export",
            "train",
            "evaluate",
            "data",
            "data hops",
            "doctor",
        ],
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


class TestPathsThatCannotBeUsed:
    @pytest.mark.parametrize("place", ["/proc/nothing/x.duckdb", "FILE/x.duckdb"])
    def test_a_database_where_no_folder_can_be_made(self, lihop, bench, tmp_path, place):
        (tmp_path / "file").write_text("in the way")
        write_good(bench.folder, ("lif.cif",))
        result = lihop(
            "screen", "--path", bench.folder, "--model", bench.checkpoint, "--no-prefect", "--workers", "1",
            "--db", place.replace("FILE", str(tmp_path / "file")),
        )  # fmt: skip
        assert result.code == 2
        assert result.is_one_message
        assert "give a --db in a folder that can be written" in result.err

    def test_a_folder_as_database(self, lihop, bench):
        write_good(bench.folder, ("lif.cif",))
        flags = ["--path", bench.folder, "--model", bench.checkpoint, "--no-prefect"]
        result = lihop("screen", *flags, "--db", bench.folder)
        assert result.code == 2
        assert result.is_one_message
        assert f"{bench.folder} is a folder; give a file" in result.err
        assert not list(bench.folder.parent.glob("*.work"))
        assert "is a folder; give a file" in lihop("rank", "--db", bench.folder).err

    def test_what_the_system_refuses_is_one_message(self, lihop, monkeypatch):
        def refuse(*_args, **_named):
            raise PermissionError(13, "Permission denied", "secret.duckdb")

        monkeypatch.setattr("storage.queries.rankings", refuse)
        result = lihop("rank")
        assert result.code == 2
        assert result.is_one_message
        assert "secret.duckdb" in result.err

    def test_no_such_data_set(self, lihop, bench):
        result = lihop("evaluate", "--dataset", "nope", "--model", bench.checkpoint)
        assert result.code == 2
        assert result.is_one_message
        assert "there are devi2025" in result.err
