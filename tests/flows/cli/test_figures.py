"""`lihop rank --figure` and `lihop evaluate --figure`: a picture beside the table, or an error first."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.bench.generated import RUN_ID, Block, tables
from flows.cli.errors import UsageError
from flows.cli.figures import write_parity, write_ranking, write_residuals
from flows.cli.main import app
from flows.evaluate import Judgement
from models.arrays import LabelledArrays
from models.predictor import Predictions
from models.specs import GroupSpec, InputSpec
from storage.recorder import Recorder
from storage.records import Run
from storage.shards import write_shard

MATERIALS = 7


@pytest.fixture
def database(tmp_path):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.start_run(
        Run(
            run_id=RUN_ID, name="figures", source="bench", working_ion="Li", settings_json="{}",
            settings_digest="-", model_digest="-", code_version="-", started_at=datetime.now(UTC),
            status="running",
        )
    )  # fmt: skip
    content = tables(Block(0, MATERIALS))
    recorder.record([write_shard(tmp_path / f"{name}.parquet", data, name) for name, data in content.items()])
    recorder.publish()
    return str(tmp_path / "lihop.duckdb")


def test_rank_draws_its_rows(database, tmp_path):
    path = tmp_path / "ranking.svg"
    answer = CliRunner().invoke(app, ["rank", "--db", database, "--figure", str(path)])
    assert answer.exit_code == 0, answer.output
    assert f"Wrote {path}." in answer.output
    text = path.read_text()
    assert text.count('<g id="bench-') == MATERIALS
    limited = CliRunner().invoke(app, ["rank", "--db", database, "--limit", "2", "--figure", str(path)])
    assert limited.exit_code == 0
    assert path.read_text().count('<g id="bench-') == 2


def test_json_stays_json(database, tmp_path):
    answer = CliRunner().invoke(
        app, ["rank", "--db", database, "--json", "--figure", str(tmp_path / "a.png")]
    )
    assert answer.output.startswith("[")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_other_formats_are_refused_before_any_work(tmp_path):
    answer = CliRunner().invoke(app, ["evaluate", "--figure", str(tmp_path / "a.pdf"), "--data-dir", "none"])
    assert isinstance(answer.exception, UsageError)
    assert ".svg or .png" in str(answer.exception)


def test_no_barrier_is_bad_usage(tmp_path):
    with pytest.raises(UsageError, match="none of 0 materials"):
        write_ranking(str(tmp_path / "a.svg"), [])


def test_parity_and_residuals_of_a_judgement(tmp_path):
    spec = InputSpec(groups=(GroupSpec(name="local", version=1, keys=("a",), shape=(1,)),))
    barrier_ev = np.array([0.3, 0.9])
    test = LabelledArrays(
        {"local": np.zeros((2, 1), np.float32)}, barrier_ev, ("a", "b"), ("h", "h"), ("Li", "Na"), spec
    )
    found = Predictions(
        barrier_ev, np.zeros(2), barrier_ev[:, None], barrier_ev / 2, barrier_ev * 2,
        np.array([True, False]), np.zeros(2),
    )  # fmt: skip
    for write in (write_parity, write_residuals):
        write(str(tmp_path / "a.svg"), Judgement({}, test, found), "a split")
        assert (tmp_path / "a.svg").read_text().count('<g id="hop-') == 2
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="cannot be written"):
            write(str(tmp_path / "file" / "a.svg"), Judgement({}, test, found), "a split")
