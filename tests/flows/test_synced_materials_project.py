"""A sync from a server that speaks the Materials Project's protocol: what is kept of what it answers."""

from __future__ import annotations

import pickle

import pytest

from flows.parameters import ScreenParameters, SyncParameters
from flows.sync import sync
from storage import queries
from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_client import MaterialsProjectError
from tests.servers.fixtures import mp_server
from tests.servers.materials_project import KEY

__all__ = ["mp_server"]


@pytest.fixture
def database(tmp_path):
    return tmp_path / "db" / "lihop.duckdb"


@pytest.fixture
def run(mp_server, database):
    def run(*, refresh=True, **asked):
        query = MaterialsProjectQuery(e_above_hull_max_ev=None, **asked)
        remote = MaterialsProjectSource(query, sleep=lambda _wait_s: None)
        return sync(SyncParameters(database=str(database), mp=query, refresh=refresh), remote)

    return run


def failures(database):
    rows = queries.sql(database, "FROM failures ORDER BY ALL").records()
    return {row["material_id"]: row["reason"] for row in rows}


@pytest.mark.parametrize(
    ("kind", "put"),
    [
        ("electrodes", {"average_voltage": f"asked by {KEY}"}),
        ("summary", {"nsites": f"asked by {KEY}"}),
        ("summary", {"formula_pretty": KEY}),
        ("summary", {"structure": KEY}),
    ],
)
def test_a_key_that_a_document_repeats_is_stored_nowhere(mp_server, run, database, kind, put):
    mp_server.faults.malform(mp_server.world.ids(ion="Li")[0], kind=kind, put=put)
    with pytest.raises(MaterialsProjectError, match="repeats the API key") as caught:
        run()
    assert KEY not in str(caught.value)
    mp_server.faults.clear()
    assert run().status == "completed"
    files = [path for path in database.parent.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_a_version_that_is_the_key_is_stored_nowhere(mp_server, run, database):
    mp_server.world.db_version = KEY
    with pytest.raises(MaterialsProjectError, match="repeats the API key"):
        run()
    assert not database.exists()


def test_the_key_is_in_nothing_that_travels(mp_server, run):
    run()
    query = MaterialsProjectQuery(e_above_hull_max_ev=None)
    remote = MaterialsProjectSource(query)
    list(remote.index())
    assert KEY.encode() not in pickle.dumps(remote)
    for parameters in (SyncParameters(mp=query), ScreenParameters(source="mp", mp=query)):
        assert KEY not in parameters.model_dump_json() + repr(parameters)
        assert KEY.encode() not in pickle.dumps(parameters)
