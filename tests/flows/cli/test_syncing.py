"""`lihop sync`: flags made from the queries, what is printed, and what is an error."""

from __future__ import annotations

import json

import pytest

from flows.cli.query_flags import flag_fields
from flows.parameters import QUERIES, ScreenParameters, SyncParameters
from flows.settings import resolve, screen_parameters
from flows.sources import REMOTE
from tests.remotes import Memory, entry


@pytest.fixture
def asked(monkeypatch):
    """The queries that a remote database was asked, which has three entries."""
    remote = Memory({f"mp-{k}": entry(f"mp-{k}") for k in (1, 2, 3)})
    found = []

    def make(query):
        found.append(query)
        return remote

    monkeypatch.setitem(REMOTE, "mp", make)
    return found


def test_a_sync_and_what_it_prints(lihop, asked, tmp_path):
    database = tmp_path / "x.duckdb"
    result = lihop("sync", "--db", database, "--dry-run", "--json")
    found = json.loads(result.out)
    assert (found["status"], found["new"]) == ("dry_run", ["mp-1", "mp-2", "mp-3"])
    assert not database.exists()
    result = lihop("sync", "--db", database)
    assert result.code == 0
    assert "Synced mp (v1): 3 entries, 3 new" in result.out
    assert "Cite: A database in memory, version v1" in result.out
    assert "https://doi.org/10.1/x" in result.out
    found = json.loads(lihop("sync", "--db", database, "--json").out)
    assert (found["status"], found["n_total"], found["n_fetched"]) == ("up_to_date", 3, 0)
    found = json.loads(lihop("sync", "--db", database, "--json", "--refresh").out)
    assert (found["status"], found["n_unchanged"]) == ("completed", 3)


def test_ids_that_are_not_there_are_printed(lihop, monkeypatch, tmp_path):
    remote = Memory({"mp-1": entry("mp-1")}, wanted=("mp-1", *(f"mp-{k}" for k in range(10, 35))))
    monkeypatch.setitem(REMOTE, "mp", lambda query: remote)
    for flags in (["--dry-run"], [], []):
        result = lihop("sync", "--db", tmp_path / "x.duckdb", *flags)
        assert "not found, though asked for by id (25): mp-10, " in result.out.lower()
        assert "mp-29 and 5 more; check these ids" in result.out
    found = json.loads(lihop("sync", "--db", tmp_path / "x.duckdb", "--json").out)
    assert (found["n_not_found"], len(found["not_found"])) == (25, 25)


def test_flags_become_the_query(lihop, asked, tmp_path):
    flags = ["--kind", "oxides", "--elements", "Mn,Fe", "--elements", "P", "--e-above-hull-max-ev", "0.05",
             "--include-gnome", "--max-sites", "40", "--working-ion", "Na"]  # fmt: skip
    assert lihop("sync", "--db", tmp_path / "x.duckdb", "--dry-run", *flags).code == 0
    (query,) = asked
    assert (query.kind, query.elements, query.working_ion) == ("oxides", ("Fe", "Mn", "P"), "Na")
    assert (query.e_above_hull_max_ev, query.include_gnome, query.max_sites) == (0.05, True, 40)


def test_most_sites_from_the_settings_are_asked_for_too(lihop, asked, monkeypatch, tmp_path):
    flags = ["sync", "--db", tmp_path / "x.duckdb", "--dry-run"]
    (tmp_path / "lihop.toml").write_text("max_sites = 50\n")
    assert lihop(*flags).code == 0
    monkeypatch.setenv("LIHOP_MAX_SITES", "60")
    assert lihop(*flags).code == 0
    assert lihop(*flags, "--max-sites", "70").code == 0
    # What the query has itself goes before what is set for all.
    (tmp_path / "lihop.toml").write_text("[mp]\nmax_sites = 80\n")
    assert lihop(*flags).code == 0
    assert [query.max_sites for query in asked] == [50, 60, 70, 80]


def test_none_lifts_a_bound(lihop, asked, tmp_path):
    flags = ["--db", tmp_path / "x.duckdb", "--dry-run"]
    assert lihop("sync", *flags, "--e-above-hull-max-ev", "none").code == 0
    assert lihop("sync", *flags).code == 0
    assert [query.e_above_hull_max_ev for query in asked] == [None, 0.1]
    result = lihop("sync", *flags, "--e-above-hull-max-ev", "nine")
    assert result.code == 2
    assert result.is_one_message
    assert "given: 'nine'" in result.err


def test_none_lifts_a_bound_in_the_settings_too(lihop, asked, monkeypatch, tmp_path):
    flags = ["sync", "--db", tmp_path / "x.duckdb", "--dry-run"]
    (tmp_path / "lihop.toml").write_text('[mp]\ne_above_hull_max_ev = "none"\n')
    assert lihop(*flags).code == 0
    monkeypatch.setenv("LIHOP_MP", '{"max_sites": "None"}')
    assert lihop(*flags).code == 0
    assert [query.e_above_hull_max_ev for query in asked] == [None, None]
    assert [query.max_sites for query in asked] == [300, None]


def test_settings_give_what_flags_leave_out(lihop, asked, tmp_path):
    (tmp_path / "lihop.toml").write_text('working_ion = "Na"\n[mp]\nkind = "oxides"\nelements = ["Mn"]\n')
    assert lihop("sync", "--dry-run", "--elements", "Fe").code == 0
    assert (asked[0].kind, asked[0].elements, asked[0].working_ion) == ("oxides", ("Fe",), "Na")


@pytest.mark.parametrize("command", ["sync", "screen"])
def test_what_the_settings_have_is_judged_with_the_flags(lihop, asked, tmp_path, command):
    (tmp_path / "lihop.toml").write_text('source = "mp"\n[mp]\nkind = "materials"\n')
    result = lihop(command, "--db", tmp_path / "x.duckdb", "--chemsys", "Li-Co-O")
    assert "needs a filter" not in result.err
    assert (asked[0].kind, asked[0].chemsys) == ("materials", ("Co-Li-O",))
    assert "needs a filter" in lihop(command, "--db", tmp_path / "x.duckdb").err


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--kind", "oxids"], "electrodes"),
        (["--e-above-hull-max-ev", "-1"], "e_above_hull_max_ev"),
        (["--base-urls", "https://x.org"], "--source optimade"),
        (["--source", "files"], "source"),
        (["--kind", "materials"], "needs a filter"),
        (["--chemsys", "Na-O"], "working ion"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_asked(lihop, asked, tmp_path, flags, named):
    result = lihop("sync", "--db", tmp_path / "x.duckdb", *flags)
    assert result.code == 2
    assert result.is_one_message
    assert named in result.err
    assert asked == []


def test_a_screening_refuses_flags_of_other_sources(lihop):
    result = lihop("screen", "--elements", "Mn")
    assert result.code == 2
    assert "--source mp or optimade" in result.err


def test_nothing_found_is_nothing_usable(lihop, monkeypatch, tmp_path):
    monkeypatch.setitem(REMOTE, "mp", lambda query: Memory())
    result = lihop("sync", "--db", tmp_path / "x.duckdb")
    assert result.code == 1
    assert "ask for more" in result.err


def test_every_field_of_a_query_has_a_flag_and_a_text():
    fields = flag_fields()
    for query in QUERIES.values():
        for name, field in query.model_fields.items():
            assert name in fields or name in {"working_ion", "max_sites"}
            assert field.title
            assert field.description
    # No flag of the queries hides one of the commands' own.
    assert not fields.keys() & (ScreenParameters.model_fields.keys() | SyncParameters.model_fields.keys())


def test_the_query_decides_only_where_it_is_asked():
    reference = ScreenParameters()
    assert reference.digest() == ScreenParameters(mp={"kind": "oxides"}).digest()
    one, other = (ScreenParameters(source="mp", mp={"kind": kind}) for kind in ("oxides", "electrodes"))
    assert one.digest() != other.digest()
    assert one.digest() == ScreenParameters(source="mp", mp={"kind": "oxides"}, sync=False).digest()
    assert one.syncing().query() == one.query()


def test_the_screenings_ion_is_the_one_that_is_asked_for():
    found = screen_parameters(resolve({"source": "mp", "working_ion": "Na", "mp": {"kind": "oxides"}}))
    assert found.query().working_ion == "Na"
    with pytest.raises(ValueError, match="lacks the working ion Na"):
        ScreenParameters(source="mp", working_ion="Na", mp={"chemsys": ["Li-O"]})
