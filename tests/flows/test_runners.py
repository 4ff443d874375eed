"""Processes that die: the material that kills them is named, and all others get their result."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from flows import collecting
from flows.campaign import run_campaign, screen
from flows.progress import SilentReporter, reporting
from flows.running import processes
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool
from flows.running.steps import PoolClosedError, WorkerLostError
from storage import queries
from storage.records import Candidate
from storage.shards import read_rows
from tasks.workers import FeaturizeWork, PercolateWork
from tests.campaigns import GOOD, RecordingSteps, assert_same, tables, write_cif, write_good
from tests.children import LethalSource, die, double


class TestBatchPool:
    def test_runs_yields_and_hands_over_errors(self):
        with BatchPool(2) as pool:
            found = dict(PlainSteps(pool).over_pool("double", double, [1, 2, -3]))
            assert (found[1], found[2]) == (2, 4)
            assert isinstance(found[-3], ValueError)

    def test_is_ready_again_after_a_process_died(self):
        with BatchPool(1) as pool:
            with pytest.raises(WorkerLostError, match="worker process died"):
                pool.run(die, None)
            assert pool.run(double, 4) == 8

    def test_starts_none_for_a_run_that_was_ended_with_its_processes(self, monkeypatch):
        """A signal that reaches all of them at once stops the processes a moment before the run."""
        monkeypatch.setattr(processes, "MOMENT_S", 600.0)
        broken, told, made = threading.Event(), [], []

        class Discarding(BatchPool):
            def _discard(self, executor):
                super()._discard(executor)
                broken.set()

        class Noted(ProcessPoolExecutor):
            def __init__(self, *given, **named):
                made.append(self)
                super().__init__(*given, **named)

        def ask(call, payload):
            with pytest.raises(PoolClosedError) as refused:
                pool.run(call, payload)
            told.append(refused.value)

        monkeypatch.setattr(processes, "ProcessPoolExecutor", Noted)
        pool = Discarding(1)
        # One that lost its process, and one that comes with the next piece of work.
        asking = [
            threading.Thread(target=ask, args=given, daemon=True) for given in ((die, None), (double, 4))
        ]
        asking[0].start()
        assert broken.wait(60)
        asking[1].start()
        asking[1].join(0.2)
        ended = KeyboardInterrupt()
        pool.__exit__(type(ended), ended, None)
        for one in asking:
            one.join(60)
        assert len(told) == 2
        assert len(made) == 1

    def test_starts_no_process_before_there_is_work(self):
        with BatchPool(2) as pool:
            assert list(PlainSteps(pool).over_pool("double", double, [])) == []
            assert pool._executor is None

    def test_who_stops_listening_does_not_wait_for_the_rest(self):
        done, never = [], threading.Event()

        class Counting(BatchPool):
            def run(self, call, payload):
                # Long enough for all of them together to take a minute, were they waited for.
                never.wait(0.05)
                done.append(payload)
                return call(payload)

        found = PlainSteps(Counting(1)).over_pool("double", double, range(2_000))
        next(found)
        found.close()
        assert len(done) < 2_000


def test_a_lethal_file_costs_no_other_its_result(bench, monkeypatch):
    write_good(bench.folder)
    write_cif(GOOD["lif.cif"], bench.folder / "lethal.cif")
    monkeypatch.setattr(collecting, "make_source", lambda parameters: LethalSource(parameters.path))
    parameters = bench.parameters(batch_size=2, workers=2, time_limit_s=120)
    summary = screen(parameters)
    assert bench.reasons() == {"lethal.cif": "worker_lost"}
    assert summary.n_with_result == len(GOOD)
    assert summary.n_items == summary.n_with_result + 1
    (row,) = queries.failures(bench.database)
    assert "died twice" in row["message"]


class LosingSteps(RecordingSteps):
    """Steps whose process dies with every batch that holds a certain material, at one stage."""

    def __init__(self, kind: type, material_id: str) -> None:
        super().__init__()
        self.kind, self.material_id = kind, material_id

    def over_pool(self, stage, call, payloads):
        for payload in payloads:
            if isinstance(payload, self.kind) and self.material_id in self._materials(payload):
                yield payload, WorkerLostError("died")
            else:
                yield from super().over_pool(stage, call, [payload])

    def _materials(self, payload):
        if isinstance(payload, FeaturizeWork):
            path = Path(payload.candidates)
        else:
            path = Path(payload.folder) / f"{payload.stem}.candidates.parquet"
        only = getattr(payload, "only", None)
        rows = read_rows(path, Candidate)
        return {row.material_id for row in rows if only in {None, row.structure_hash}}


def test_a_material_that_kills_at_its_hops(bench):
    write_good(bench.folder)
    parameters = bench.parameters(batch_size=3)
    summary = run_campaign(parameters, LosingSteps(FeaturizeWork, "lif.cif"))
    assert bench.reasons() == {"lif.cif": "worker_lost"}
    assert summary.n_with_result == len(GOOD) - 1
    assert bench.screen().n_computed == 0
    retried = bench.screen(retry=("worker_lost",))
    assert (retried.n_computed, retried.failures) == (1, {})
    assert retried.n_with_result == len(GOOD)


class Counted(SilentReporter):
    """Counts how many materials are through each stage."""

    def __init__(self) -> None:
        self.counts = Counter()

    def advance(self, name, count):
        self.counts[name] += count


def test_a_material_that_kills_at_its_percolation(bench):
    write_good(bench.folder)
    told = Counted()
    # It is in one batch with others, which lose nothing.
    with reporting(told):
        summary = run_campaign(bench.parameters(batch_size=3), LosingSteps(PercolateWork, "lif.cif"))
    assert bench.reasons() == {"lif.cif": "worker_lost"}
    assert summary.n_with_result == len(GOOD) - 1
    assert summary.n_items == summary.n_with_result + sum(summary.failures.values())
    assert told.counts["percolation"] == len(GOOD)
    assert bench.screen().n_computed == 0
    retried = bench.screen(retry=("worker_lost",))
    assert (retried.n_computed, retried.n_with_result, retried.failures) == (1, len(GOOD), {})


def test_batches_of_any_size_and_any_number_of_processes_agree(bench):
    write_good(bench.folder)
    bench.screen(batch_size=1)
    one = bench.tables()
    other = bench.parameters(database=str(bench.database.with_name("other.duckdb")), batch_size=3, workers=2)
    screen(other)
    assert_same(tables(Path(other.database)), one)
