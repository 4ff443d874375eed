"""A sync from a server that speaks the Materials Project's protocol: what is kept of what it answers."""

from __future__ import annotations

import pickle

import pytest

from flows.parameters import ScreenParameters, SyncParameters
from flows.sync import sync
from storage import queries
from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_client import MaterialsProjectError
from tasks.candidates.materials_project_documents import normal_id
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


def test_a_named_material_whose_electrode_turns_bad_has_not_vanished(mp_server, run, database):
    one, other = mp_server.world.ids(ion="Li")[:2]
    named = {"material_ids": (one, other)}
    entry_id, whole = f"{normal_id(one)}-Li", run(**named)
    assert (whole.n_total, whole.n_not_found) == (2, 0)
    mp_server.faults.malform(one, kind="electrodes", put={"average_voltage": "high"})
    done = run(**named)
    assert (done.n_total, done.n_quarantined, done.n_vanished, done.not_found) == (2, 1, 0, ())
    assert failures(database) == {entry_id: "malformed_document"}
    (row,) = queries.sql(
        database, f"SELECT vanished_at, content_hash FROM source_entries WHERE entry_id = '{entry_id}'"
    ).records()
    assert row["vanished_at"] is None
    assert row["content_hash"] is not None
    mp_server.faults.clear()
    done = run(refresh=False, **named)
    assert (done.status, done.n_total, done.n_quarantined) == ("completed", 2, 0)
    assert failures(database) == {}


def test_a_named_material_whose_electrode_was_never_read_is_not_missing(mp_server, run, database):
    one = mp_server.world.ids(ion="Li")[0]
    mp_server.faults.malform(one, kind="electrodes", put={"average_voltage": "high"})
    done = run(material_ids=(one,))
    assert (done.n_total, done.n_quarantined, done.not_found) == (1, 1, ())
    assert failures(database) == {f"{normal_id(one)}-Li": "malformed_document"}
    mp_server.faults.clear()
    assert run(material_ids=(one,), refresh=False).n_new == 1
    assert failures(database) == {}
