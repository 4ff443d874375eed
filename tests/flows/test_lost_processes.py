"""Processes that really die, at every stage and in batches of several: no other material loses its result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows import collecting, computing
from flows.campaign import screen
from storage import queries
from tests.campaigns import GOOD, antifluorite, rock_salt, write_cif, write_good
from tests.children import LethalSource, featurize_or_die, percolate_or_die
from tests.servers.workstation import environment

LETHAL = {
    "lethal.cif": rock_salt("Li", "Br", 5.50),
    "lethal-hops.cif": antifluorite("Li", "S", 5.71),
    "lethal-percolation.cif": rock_salt("Li", "I", 6.00),
}
ROOT = Path(__file__).resolve().parents[2]
REASONS = dict.fromkeys(LETHAL, "worker_lost")

UNDER_PREFECT = """
import json, sys
from flows.prefect_environment import prepare_prefect, wake_prefect

if __name__ == "__main__":
    prepare_prefect()
    wake_prefect()
    from flows import collecting, computing
    from flows.parameters import ScreenParameters
    from flows.screen import screen_cathodes
    from tests.children import LethalSource, featurize_or_die, percolate_or_die

    collecting.make_source = lambda parameters: LethalSource(parameters.path)
    computing.featurize_batch, computing.percolate_batch = featurize_or_die, percolate_or_die
    print(json.dumps(screen_cathodes(ScreenParameters.model_validate_json(sys.argv[1]))))
"""


@pytest.fixture
def asked(bench):
    """Return what is screened: three to a batch, so that each lethal one has others beside it."""
    write_good(bench.folder)
    for name, structure in LETHAL.items():
        write_cif(structure, bench.folder / name)
    return bench.parameters(batch_size=3, workers=2, time_limit_s=120)


def _check(bench, summary):
    assert bench.reasons() == REASONS
    assert summary["n_with_result"] == len(GOOD)
    assert summary["n_items"] == len(GOOD) + len(LETHAL)
    assert all("died twice" in row["message"] for row in queries.failures(bench.database))


def test_no_other_material_loses_its_result(bench, asked, monkeypatch):
    monkeypatch.setattr(collecting, "make_source", lambda parameters: LethalSource(parameters.path))
    monkeypatch.setattr(computing, "featurize_batch", featurize_or_die)
    monkeypatch.setattr(computing, "percolate_batch", percolate_or_die)
    _check(bench, screen(asked).as_dict())
    # What killed once is not tried again by itself.
    assert screen(asked).n_computed == 0


@pytest.mark.slow
def test_nor_under_prefect(bench, asked, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    script = tmp_path / "lethal.py"
    script.write_text(UNDER_PREFECT)
    done = subprocess.run(
        [sys.executable, str(script), asked.model_dump_json()],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment(home) | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _check(bench, json.loads(done.stdout.splitlines()[-1]))
