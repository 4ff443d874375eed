"""Where settings come from, and what is wrong with them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from flows.settings import resolve, screen_parameters
from tests.campaigns import write_good


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
        assert result.is_one_message
        assert "max_site" in result.err

    def test_a_file_that_is_no_toml(self, lihop, tmp_path):
        (tmp_path / "lihop.toml").write_text("limit 40\n")
        result = lihop("rank")
        assert result.code == 2
        assert result.is_one_message
        assert "lihop.toml" in result.err

    def test_a_bad_value_in_the_environment(self, lihop, monkeypatch):
        monkeypatch.setenv("LIHOP_LIMIT", "many")
        result = lihop("rank")
        assert result.code == 2
        assert result.is_one_message
        assert "'many'" in result.err

    def test_a_list_in_the_environment(self, lihop, monkeypatch, database):
        monkeypatch.setenv("LIHOP_RETRY", "time_limit")
        result = lihop("rank", "--json")
        assert result.code in {0, 2}
        assert "Traceback" not in result.err
        monkeypatch.setenv("LIHOP_RETRY", '["time_limit"]')
        assert lihop("rank", "--json").code == 0

    @pytest.mark.parametrize(("name", "value"), [("LIHOP_PATH", "x"), ("LIHOP_SOURCE", "files")])
    def test_what_only_a_screening_uses_bothers_no_other(self, lihop, monkeypatch, database, name, value):
        monkeypatch.setenv(name, value)
        assert lihop("rank", "--json").code == 0
        assert lihop("show", "lif.cif").code == 0
        result = lihop("screen", "--no-prefect")
        assert result.code == 2
        assert "path" in result.err
        assert "Traceback" not in result.err

    def test_a_flag_for_the_source_sets_aside_a_path_from_elsewhere(self, tmp_path, monkeypatch):
        (tmp_path / "lihop.toml").write_text('source = "files"\npath = "a"\n')
        assert screen_parameters(resolve({})).path == "a"
        assert screen_parameters(resolve({"source": "files"})).path == "a"
        monkeypatch.setenv("LIHOP_PATH", "b")
        found = screen_parameters(resolve({"source": "reference", "path": None}))
        assert (found.source, found.path) == ("reference", None)
        assert screen_parameters(resolve({"source": "files", "path": "c"})).path == "c"
        with pytest.raises(ValidationError, match="goes with the source 'files'"):
            screen_parameters(resolve({"source": "reference", "path": "c"}))


class TestKeys:
    """A key that somebody wrote where it does not belong is not told."""

    KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3y12"

    @pytest.mark.parametrize(
        "text",
        [
            'mp_api_key = "KEY"\n',
            '[mp]\napi_key = "KEY"\n',
            '[mp]\nmp_apikey = "KEY"\n',
        ],
    )
    def test_in_the_file(self, lihop, tmp_path, text):
        (tmp_path / "lihop.toml").write_text(text.replace("KEY", self.KEY))
        result = lihop("rank")
        assert result.code == 2
        assert result.is_one_message
        assert self.KEY[:6] not in result.out + result.err
        assert "set LIHOP_MP_API_KEY in the environment instead" in result.err

    @pytest.mark.parametrize(
        ("name", "given"),
        [
            ("LIHOP_MP", '{"api_key": "KEY"}'),
            ("LIHOP_MP", '{"voltage_min_v": 4, "voltage_max_v": 3, "api_key": "KEY"}'),
            ("LIHOP_MP", '["KEY"]'),
            ("LIHOP_MP", '"KEY"'),
            ("LIHOP_OPTIMADE", '{"token": "KEY", "password": {"of": "KEY"}}'),
            ("LIHOP_OPTIMADE", '{"base_urls": ["http://me:KEY@db.org/?api_key=KEY"]}'),
            ("LIHOP_OPTIMADE", '{"max_entries": {"api_key": "KEY", "many": 3}}'),
        ],
    )
    def test_in_the_environment(self, lihop, monkeypatch, name, given):
        monkeypatch.setenv(name, given.replace("KEY", self.KEY))
        result = lihop("rank")
        assert result.code == 2
        assert result.is_one_message
        assert self.KEY[:6] not in result.out + result.err

    def test_what_a_query_got_wrong_is_still_told(self, lihop, monkeypatch):
        monkeypatch.setenv("LIHOP_MP", '{"voltage_min_v": 4, "voltage_max_v": 3}')
        result = lihop("rank")
        assert "voltage_min_v 4 is above voltage_max_v 3" in result.err
        assert "given: {'voltage_min_v': 4, 'voltage_max_v': 3}" in result.err
