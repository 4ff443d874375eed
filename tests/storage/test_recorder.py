"""What is recorded is there once, whole, and under the settings it was started with."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from storage import queries
from storage.database import reading, writing
from storage.errors import ManifestMismatchError, RefusedRowsError, ShardError, StorageError
from storage.recorder import Recorder
from storage.records import (
    ROW_TYPES,
    Candidate,
    Failure,
    Hop,
    Percolation,
    Prediction,
    Refinement,
    StageResult,
)
from storage.shards import write_shard

SEEN = datetime(2030, 1, 1, tzinfo=UTC)
ODD_IDS = ["it's", 'a "b" --', "a/b/../c", "line\nbreak", "ü" * 10_000, "'; DROP TABLE hops; --"]


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "lihop.duckdb")


def _content(recorder):
    with writing(recorder.paths) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall() for table in ROW_TYPES
        }


def _everything(make):
    failure = make.failure()
    return [
        make.run(), make.model(), make.stage_result(), make.refinement(), failure, make.run_failure(failure),
        make.source_entry(), make.source_member(), make.sync(),
        *make.material(),
    ]  # fmt: skip


def test_every_table_takes_its_rows(recorder, make):
    rows = _everything(make)
    counts = recorder.record(rows=rows)
    assert set(counts) == set(ROW_TYPES)
    content = _content(recorder)
    assert {table: len(found) for table, found in content.items()} == counts
    assert sum(counts.values()) == len(rows)


def test_recording_again_changes_nothing(recorder, make, tmp_path):
    shards = [write_shard(tmp_path / f"{row.table}.parquet", [row]) for row in _everything(make)[:6]]
    recorder.record(shards)
    before = _content(recorder)
    recorder.record(shards)
    recorder.record([*shards, *shards])
    assert _content(recorder) == before


def test_rows_come_back_under_their_stage_key(recorder, make):
    rows = [make.hop(j=1), make.hop(j=2), make.hop("m2", j=1)]
    recorder.record(rows=rows)
    assert recorder.rows_under(Hop, ["hops-m1"]) == rows[:2]
    assert recorder.rows_under(Hop, ["absent"]) == []
    with pytest.raises(StorageError, match="no stage key"):
        recorder.rows_under(type(make.run()), ["x"])


def test_hops_with_one_pair_of_ends_live_side_by_side(recorder, make):
    vacancies = ["", "4_0_-1_0", "4_0_0_0"]
    kinds = [(make.hop, "hops-m1"), (make.prediction, "prediction-m1"), (make.refinement, "refinement-m1")]
    rows = [build(vacancy=vacancy) for build, _ in kinds for vacancy in vacancies]
    recorder.record(rows=rows)
    recorder.record(rows=rows)
    for row_type, (build, stage_key) in zip((Hop, Prediction, Refinement), kinds, strict=True):
        found = recorder.rows_under(row_type, [stage_key])
        assert found == [build(vacancy=vacancy) for vacancy in sorted(vacancies)]


def test_all_that_is_known_of_a_hop_is_kept(recorder, make):
    rows = [make.hop(), make.described_hop()]
    recorder.record(rows=rows)
    assert recorder.rows_under(Hop, ["hops-m1"]) == rows
    of_site_energies = make.percolation(
        site_energies="partial", site_energy_difference_ev=0.2, path_converged=False
    )
    recorder.record(rows=[of_site_energies])
    assert recorder.rows_under(Percolation, ["percolation-m1"]) == [of_site_energies]


@pytest.mark.parametrize("table", ["hops", "predictions", "refinements"])
def test_the_database_too_takes_one_spelling_of_a_vacancy(recorder, make, table):
    (row,) = [row for row in (make.hop(), make.prediction(), make.refinement()) if row.table == table]
    with pytest.raises(RefusedRowsError, match="CHECK constraint"):
        recorder.record(rows=[row.model_copy(update={"vacancy": "4,0,-1,0"})])


def test_stage_keys_are_known_once_recorded(recorder, make):
    assert recorder.known_stage_keys(["k1"]) == set()
    assert not recorder.paths.work.exists()
    recorder.record(rows=[make.stage_result("k1"), make.stage_result("k2")])
    assert recorder.known_stage_keys(["k1", "k3"]) == {"k1"}
    assert recorder.known_stage_keys([]) == set()


def test_a_forgotten_stage_is_recorded_anew(recorder, make):
    kept = make.percolation("m2", 0.4)
    recorder.record(
        rows=[
            make.stage_result("percolation-m1"), make.stage_result("percolation-m2"), kept,
            make.percolation("m1", None), make.failure("m1", stage_key="percolation-m1"),
        ]
    )  # fmt: skip
    recorder.forget(["percolation-m1", "absent"])
    assert recorder.known_stage_keys(["percolation-m1", "percolation-m2"]) == {"percolation-m2"}
    assert recorder.rows_under(Failure, ["percolation-m1"]) == []
    again = make.percolation("m1", 0.3)
    recorder.record(rows=[again])
    assert recorder.rows_under(Percolation, ["percolation-m1", "percolation-m2"]) == [again, kept]


def test_the_first_result_under_a_key_stays(recorder, make):
    recorder.record(rows=[make.hop(distance_ang=3.0)])
    recorder.record(rows=[make.hop(distance_ang=9.0)])
    assert [hop.distance_ang for hop in recorder.rows_under(Hop, ["hops-m1"])] == [3.0]


def test_what_a_source_takes_back_of_a_candidate_is_unknown_again(recorder, make):
    known = {"e_above_hull_ev": 0.0, "average_voltage_v": 3.0, "capacity_mah_g": 100.0}
    other = make.candidate(source="other", **known)
    recorder.record(rows=[make.candidate(name="old", **known), other])
    recorder.mark_seen(["clean-m1"], SEEN)
    recorder.record(
        rows=[make.candidate(name="passed over"), make.candidate(name="new", oxidation_states=None)]
    )
    found = {row.source: row for row in recorder.rows_under(Candidate, ["clean-m1"])}
    # What one source does not know erases nothing that another one told.
    seen = {"first_seen_at": SEEN, "last_seen_at": SEEN}
    assert found.pop("other") == other.model_copy(update=seen)
    (ours,) = found.values()
    assert (ours.name, ours.oxidation_states, ours.last_seen_at) == ("new", None, SEEN)
    assert [getattr(ours, name) for name in known] == [None, None, None]


@pytest.mark.parametrize("identifier", ODD_IDS, ids=range(len(ODD_IDS)))
def test_any_identifier_is_kept(recorder, make, identifier):
    rows = [make.candidate(material_id=identifier), make.failure(material_id=identifier)]
    recorder.record(rows=rows)
    recorder.record(rows=rows)
    assert recorder.rows_under(Candidate, ["clean-m1"]) == rows[:1]
    recorder.publish()
    with reading(recorder.paths.published) as connection:
        assert connection.execute("SELECT material_id FROM rankings").fetchall() == [(identifier,)]


def test_one_bad_shard_records_nothing(recorder, make, tmp_path):
    good = write_shard(tmp_path / "good.parquet", [make.stage_result("good")])
    bad = write_shard(tmp_path / "bad.parquet", [make.hop()])
    bad.path.write_bytes(bad.path.read_bytes()[:-20])
    with pytest.raises(ShardError, match=r"bad\.parquet"):
        recorder.record([good, bad])
    assert recorder.known_stage_keys(["good"]) == set()


def test_one_bad_row_records_nothing(recorder, make):
    bad = make.prediction(lower_ev=2.0, upper_ev=1.0)
    with pytest.raises(RefusedRowsError, match="'predictions'"):
        recorder.record(rows=[make.stage_result("good"), bad])
    assert recorder.known_stage_keys(["good"]) == set()
    assert recorder.record(rows=[make.stage_result("good")]) == {"stage_results": 1}


def test_a_run_is_recorded_from_start_to_end(recorder, make):
    recorder.start_run(make.run())
    manifest = json.loads((recorder.paths.manifests / "r1.json").read_text())
    assert manifest["settings"] == {"max_hops": 100, "symprec": 0.01}
    recorder.finish_run("r1", status="completed", n_candidates=5, n_computed=3, n_reused=1, n_failed=1)
    with writing(recorder.paths) as connection:
        found = connection.execute(
            "SELECT status, finished_at IS NOT NULL, n_candidates, n_computed, n_reused, n_failed FROM runs"
        ).fetchall()
    assert found == [("completed", True, 5, 3, 1, 1)]


def test_resuming_under_other_settings_is_refused(recorder, make):
    recorder.start_run(make.run())
    recorder.start_run(make.run(day=3))
    with writing(recorder.paths) as connection:
        assert connection.execute("SELECT day(started_at) FROM runs").fetchall() == [(1,)]
    other = make.run(settings_json='{"max_hops": 50, "symprec": 0.01}', model_digest="model-b")
    with pytest.raises(ManifestMismatchError, match=r"max_hops was 100, is 50; model_digest was 'model-a'"):
        recorder.start_run(other)


def test_a_clock_that_was_set_back_does_not_hide_the_newest_run(recorder, make):
    recorder.start_run(make.run("before", day=5))
    recorder.record(rows=[*make.material("m1", 0.3, "before")])
    recorder.start_run(make.run("after", day=2))
    newer = make.percolation("m1", 0.7, stage_key="percolation-after")
    taken = make.run_material("after", "m1", percolation_stage_key="percolation-after")
    recorder.record(rows=[newer, taken])
    recorder.publish()
    (shown,) = queries.rankings(recorder.paths.published)
    assert (shown["run_id"], shown["barrier_at_dim_ev"]) == ("after", 0.7)
    started = [row["run_id"] for row in queries.runs(recorder.paths.published)]
    assert started == ["after", "before"]
    manifest = json.loads((recorder.paths.manifests / "after.json").read_text())
    assert datetime.fromisoformat(manifest["started_at"]) > make.run("before", day=5).started_at


def test_a_run_never_ends_before_it_started(recorder, make):
    run = make.run(started_at=datetime.now(UTC) + timedelta(days=9))
    recorder.start_run(run)
    recorder.finish_run("r1", status="completed", n_candidates=1, n_computed=1, n_reused=0, n_failed=0)
    recorder.publish()
    (shown,) = queries.runs(recorder.paths.published)
    assert shown["duration_s"] == 0.0


def test_a_run_that_never_started_cannot_end(recorder):
    with pytest.raises(StorageError, match="no run 'r9' was started"):
        recorder.finish_run("r9", status="failed", n_candidates=0, n_computed=0, n_reused=0, n_failed=0)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", "x" * 200, ".hidden"])
def test_a_run_id_names_a_file(recorder, make, run_id):
    with pytest.raises(StorageError, match="is not allowed"):
        recorder.start_run(make.run(run_id))


RECORD_MANY = """
import sys
from storage.records import Stage, StageResult
from storage.recorder import Recorder
recorder, who = Recorder(sys.argv[1]), sys.argv[2]
for turn in range(12):
    keys = [f"{who}-{turn}-{n}" for n in range(5)] + [f"shared-{turn}"]
    recorder.record(rows=[
        StageResult(stage_key=key, structure_hash=None, working_ion="Li", stage=Stage.HOPS, n_rows=turn)
        for key in keys
    ])
    recorder.publish()
"""


def test_two_processes_lose_nothing(recorder):
    db = str(recorder.paths.published)
    workers = [subprocess.Popen([sys.executable, "-c", RECORD_MANY, db, who]) for who in ("a", "b")]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    with reading(db) as connection:
        found = {row[0] for row in connection.execute("SELECT stage_key FROM stage_results").fetchall()}
    expected = {f"{who}-{turn}-{n}" for who in "ab" for turn in range(12) for n in range(5)}
    assert found == expected | {f"shared-{turn}" for turn in range(12)}


RECORD_UNTIL_KILLED = """
import sys
from storage.records import Stage, StageResult
from storage.recorder import Recorder
recorder = Recorder(sys.argv[1])
for turn in range(10_000):
    recorder.record(rows=[
        StageResult(stage_key=f"{turn}-{n}", working_ion="Li", stage=Stage.HOPS, n_rows=0)
        for n in range(3)
    ])
    print(turn, flush=True)
    recorder.publish()
"""


@pytest.mark.parametrize("acknowledged", [0, 2, 5])
def test_a_kill_loses_nothing_acknowledged(recorder, acknowledged):
    db = str(recorder.paths.published)
    command = [sys.executable, "-c", RECORD_UNTIL_KILLED, db]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        for line in worker.stdout:
            if int(line) == acknowledged:
                break
        worker.kill()
    known = recorder.known_stage_keys([f"{turn}-{n}" for turn in range(100) for n in range(3)])
    assert known >= {f"{turn}-{n}" for turn in range(acknowledged + 1) for n in range(3)}
    assert len(known) % 3 == 0
    assert recorder.record(rows=[StageResult(
        stage_key="after", structure_hash=None, working_ion="Li", stage="hops", n_rows=0
    )]) == {"stage_results": 1}  # fmt: skip
    recorder.publish()
    with reading(db) as connection:
        assert connection.execute("SELECT count(*) FROM stage_results").fetchall() == [(len(known) + 1,)]
