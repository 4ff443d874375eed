"""A server that waits for its database's lock does not stand still meanwhile."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flows.orchestration.patient_server import BUSY_MS, patiently

ROOT = Path(__file__).resolve().parents[3]
WAITS = """
import asyncio, gc, sys
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from flows.orchestration.patient_server import be_patient

async def main(file, patient):
    if patient:
        be_patient()
    engine = await AioSqliteConfiguration(f"sqlite+aiosqlite:///{file}", timeout=60).engine()
    async with engine.connect() as one, engine.connect() as other:
        print((await other.exec_driver_sql("PRAGMA busy_timeout")).scalar(), flush=True)
        await one.exec_driver_sql("CREATE TABLE t (a)")
        await one.commit()
        # A cursor in the middle of its rows, which nothing but the collector will free.
        driver = (await other.get_raw_connection()).driver_connection
        cursor = await driver.execute("SELECT 1 UNION ALL SELECT 2")
        await cursor.fetchone()
        cycle = [cursor._cursor]
        cycle.append(cycle)
        cursor._cursor = None
        await one.exec_driver_sql("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(other.exec_driver_sql("BEGIN IMMEDIATE"))
        while not driver._tx.empty():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        del cycle
        # By now the other connection waits. Whoever collects waits for it; one lets the lock go afterwards.
        gc.collect()
        await one.exec_driver_sql("COMMIT")
        await waiting
        print("has it", flush=True)

asyncio.run(main(*sys.argv[1:2], sys.argv[2:] == ["patient"]))
"""


def test_a_cursor_that_is_collected_lets_the_lock_go(tmp_path):
    """Without patience the collector waits until the other connection has given up."""
    done = subprocess.run(
        [sys.executable, "-c", WAITS, tmp_path / "prefect.db", "patient"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.stdout.split("\n")[:2] == [str(BUSY_MS), "has it"], done.stderr


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY])
def test_a_lock_that_another_lets_go_is_had(code):
    asked = []

    def call():
        asked.append(len(asked))
        if len(asked) < 3:
            raise _error(code)
        return "it"

    assert patiently(call) == "it"
    assert len(asked) == 3


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_ERROR])
def test_what_waiting_cannot_mend_is_told_at_once(code):
    asked = []

    def call():
        asked.append(code)
        raise _error(code)

    with pytest.raises(sqlite3.OperationalError):
        patiently(call)
    assert asked == [code]


def test_patience_has_an_end(monkeypatch):
    monkeypatch.setattr("flows.orchestration.patient_server.PATIENCE_S", 0.0)

    def call():
        raise _error(sqlite3.SQLITE_BUSY)

    with pytest.raises(sqlite3.OperationalError):
        patiently(call)


def _error(code):
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    return error
