"""Shards that are damaged between being written and being read: the batch is computed again, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flows import computing
from flows.campaign import run_campaign
from storage import queries
from storage.checks import check
from storage.errors import ShardError
from storage.places import paths_of
from storage.records import Candidate
from storage.shards import read_rows
from tasks.workers import FeaturizeWork, PercolateWork, shard_path
from tests.campaigns import Bench, RecordingSteps, assert_same, write_bad, write_good

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("lif.cif", "licl.cif", "li2o.cif")
# Straight paths: what is damaged is the same, and there is less to compute.
ASKED = {"batch_size": 3, "max_file_mb": 0.2, "paths": "straight"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


class DamagingSteps(RecordingSteps):
    """Steps whose batches come with a damaged shard of one table at one stage, so many times."""

    def __init__(self, stage, table, harm, *, times=1, only=None):
        super().__init__()
        self.stage, self.table, self.harm, self.times, self.only = stage, table, harm, times, only
        self.hit = 0
        self.asked = []

    def over_pool(self, stage, call, payloads):
        for payload in payloads:
            for piece, found in super().over_pool(stage, call, [payload]):
                self._damage(stage, payload, found)
                yield piece, found

    def here(self, stage, call, payload):
        self.asked.append((stage, payload))
        found = super().here(stage, call, payload)
        for one in found:
            self._damage(stage, payload, one)
        return found

    def _damage(self, stage, payload, found):
        if stage != self.stage or self.hit >= self.times or isinstance(found, ShardError):
            return
        if self.only is not None and self.only not in self._names(payload):
            return
        shards = [info.path for info in found.shards]
        if isinstance(payload, FeaturizeWork):
            shards += [
                shard_path(payload.folder, payload.stem, name) for name in ("descriptors", "candidates")
            ]
        for path in shards:
            if path.name.endswith(f"{self.table}.parquet") and path.exists():
                self.harm(path)
                self.hit += 1

    def _names(self, payload):
        if isinstance(payload, (FeaturizeWork, PercolateWork)):
            path = shard_path(payload.folder, payload.stem, "candidates")
            return {row.material_id for row in read_rows(path, Candidate)}
        return {item.item_id for item, _ in payload.items}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, checkpoint):
    """A bench that screened good and bad files, to which nothing happened."""
    other = Bench(tmp_path_factory.mktemp("undisturbed"), checkpoint)
    write_good(other.folder, NAMES)
    write_bad(other.folder)
    other.screen(**ASKED)
    return other


@pytest.mark.parametrize(
    ("stage", "table", "harm"),
    [
        ("read", "candidates", flip),
        ("read", "failures", cut),
        ("featurize", "hops", flip),
        ("featurize", "stage_results", cut),
        # These are not recorded, but read by the next stage.
        ("featurize", "descriptors", flip),
        ("featurize", "descriptors", cut),
        ("featurize", "candidates", flip),
        ("predict", "predictions", flip),
        ("predict", "stage_results", cut),
        ("percolate", "percolation", flip),
        ("percolate", "stage_results", cut),
    ],
)
def test_what_was_damaged_once_is_computed_again(bench, undisturbed, stage, table, harm):
    steps = DamagingSteps(stage, table, harm)
    bench.folder = undisturbed.folder
    summary = run_campaign(bench.parameters(**ASKED), steps)
    assert steps.hit == 1
    assert summary.n_with_result == len(NAMES)
    assert_same(bench.tables(), undisturbed.tables())
    paths = paths_of(bench.database)
    (moved,) = paths.quarantine.glob("*.parquet")
    assert moved.name.endswith(f"{table}.parquet")
    assert "reason" in moved.with_name(f"{moved.name}.txt").read_text()
    assert [one.check for one in check(paths) if not one.ok] in ([], ["shards referred to"])
    # And nothing is left to do.
    second = bench.screen(**ASKED)
    assert (second.n_computed, bench.steps.ran) == (0, [])


@pytest.mark.parametrize(("stage", "table"), [("featurize", "descriptors"), ("predict", "predictions")])
def test_one_of_several_that_are_predicted_together_is_computed_again_alone(
    bench, undisturbed, stage, table, monkeypatch
):
    monkeypatch.setattr(computing, "at_once", lambda _pieces, _workers: 2)
    steps = DamagingSteps(stage, table, flip)
    bench.folder = undisturbed.folder
    run_campaign(bench.parameters(**ASKED | {"batch_size": 1}), steps)
    assert steps.hit == 1
    assert_same(bench.tables(), undisturbed.tables())
    predicted = [payload for stage, payload in steps.asked if stage == "predict"]
    assert max(len(stems) for stems in predicted) == 2
    assert [len(stems) for stems in predicted][-1] == 1
    assert len({stem for stems in predicted for stem in stems}) == len(NAMES)


@pytest.mark.parametrize(
    ("stage", "table"),
    [
        ("read", "candidates"),
        ("featurize", "hops"),
        ("featurize", "descriptors"),
        ("percolate", "percolation"),
    ],
)
def test_what_is_damaged_twice_is_a_failure_and_costs_no_other_its_result(bench, stage, table):
    write_good(bench.folder, NAMES)
    steps = DamagingSteps(stage, table, flip, times=99, only="lif.cif")
    summary = run_campaign(bench.parameters(**ASKED), steps)
    assert steps.hit == 2
    assert summary.failures == {"damaged_shard": 1}
    assert bench.reasons() == {"lif.cif": "damaged_shard"}
    assert summary.n_with_result == len(NAMES) - 1
    (row,) = queries.failures(bench.database)
    assert row["message"].startswith("lif.cif: ")
    assert "--retry damaged_shard" in row["message"]
    assert row["traceback"] is None
    second = bench.screen(**ASKED)
    assert (second.n_computed, second.failures) == (0, {"damaged_shard": 1})
    retried = bench.screen(retry=("damaged_shard",), **ASKED)
    assert (retried.failures, retried.n_with_result) == ({}, len(NAMES))


def test_a_shard_that_was_damaged_since_is_moved_aside_when_it_is_needed(bench, other_checkpoint):
    write_good(bench.folder, NAMES)
    bench.screen(batch_size=2, paths="straight")
    paths = paths_of(bench.database)
    hit = min(paths.shards.glob("*.descriptors.parquet"))
    flip(hit)
    summary = bench.screen(model=str(other_checkpoint), batch_size=2, paths="straight")
    assert summary.n_with_result == len(NAMES)
    assert bench.steps.ran.count("featurize") == 1
    (moved,) = paths.quarantine.glob("*.parquet")
    assert moved.name.endswith(hit.name)


def test_barriers_that_are_recorded_are_predicted_again_only_where_they_were_damaged(bench, monkeypatch):
    def fail(_work):
        raise RuntimeError("percolation")

    write_good(bench.folder, NAMES)
    with monkeypatch.context() as patched:
        patched.setattr(computing, "percolate_batch", fail)
        with pytest.raises(RuntimeError, match="percolation"):
            bench.screen(batch_size=1, paths="straight")
    assert bench.steps.ran.count("predict") == len(NAMES)
    paths = paths_of(bench.database)
    flip(min(paths.shards.glob("*.predictions.parquet")))
    summary = bench.screen(batch_size=1, paths="straight")
    assert (bench.steps.ran.count("featurize"), bench.steps.ran.count("predict")) == (0, 1)
    assert summary.n_with_result == len(NAMES)
    (moved,) = paths.quarantine.glob("*.parquet")
    assert moved.name.endswith(".predictions.parquet")


def test_people_are_told_of_it(bench):
    from flows.progress import SilentReporter, reporting

    said = []

    class Telling(SilentReporter):
        def message(self, text):
            said.append(text)

    write_good(bench.folder, NAMES)
    with reporting(Telling()):
        run_campaign(
            bench.parameters(batch_size=2, paths="straight"), DamagingSteps("featurize", "hops", cut)
        )
    assert len(said) == 1
    assert "2 materials again" in said[0]
