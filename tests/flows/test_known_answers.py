"""What battery chemists know, from the reference set by the shipped model, as a user would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import models
from storage import queries
from tests.campaigns import Bench, write_cif

PUBLISHED = Path(models.__file__).parent / "pretrained" / "published" / "model.json"
SHORT_ANG = 3.0

pytestmark = pytest.mark.slow


def lihop(folder: Path, *arguments: str) -> str:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LIHOP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments], capture_output=True, text=True, check=False,
        cwd=folder, env=kept | {"PREFECT_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    assert PUBLISHED.is_file(), "the shipped checkpoint is not there"
    folder = tmp_path_factory.mktemp("reference")
    summary = json.loads(lihop(folder, "screen", "--source", "reference", "--json"))
    return folder, summary, json.loads(lihop(folder, "rank", "--json"))


def ranked(screened, formula, name=""):
    rows = [row for row in screened[2] if row["formula"] == formula and name in (row["name"] or "").lower()]
    assert rows, f"{formula} {name} is not ranked"
    return rows


def test_every_material_has_a_barrier_or_a_reason(screened):
    _, summary, rows = screened
    assert len(rows) >= 45
    with_barrier = [row for row in rows if row["barrier_at_dim_ev"] is not None]
    assert len(with_barrier) >= 45
    for row in with_barrier:
        assert 0 < row["lower_ev"] <= row["barrier_at_dim_ev"] <= row["upper_ev"]
        assert row["percolation_dim"] in {1, 2, 3}
        assert row["reason"] is None
    assert all(row["reason"] for row in rows if row["barrier_at_dim_ev"] is None)
    assert summary["n_items"] == summary["n_with_result"] + sum(summary["failures"].values())


def test_what_must_be_refused_is(screened):
    folder, summary, _ = screened
    rows = json.loads(lihop(folder, "failures", "--json"))
    assert {"partial_occupancy", "no_working_ion"} <= {row["reason"] for row in rows}
    assert len(rows) == sum(summary["failures"].values())
    assert not [row for row in rows if row["reason"] in {"unexpected", "worker_lost", "time_limit"}]


def test_the_second_run_computes_nothing(screened):
    folder, summary, rows = screened
    again = json.loads(lihop(folder, "screen", "--source", "reference", "--json"))
    assert again["n_computed"] == 0
    assert again["n_reused"] == summary["n_candidates"]
    after = json.loads(lihop(folder, "rank", "--json"))
    assert [row | {"run_id": None} for row in after] == [row | {"run_id": None} for row in rows]


def test_olivine_lifepo4_conducts_along_010_by_its_short_hop(screened):
    folder, _, _ = screened
    (row,) = ranked(screened, "LiFePO4")
    assert (row["percolation_dim"], row["direction_conventional"]) == (1, "[010]")
    hops = queries.hops_of(folder / "lihop.duckdb", row["structure_hash"])
    known = [hop for hop in hops if hop["barrier_ev"] is not None]
    easiest = min(known, key=lambda hop: hop["barrier_ev"])
    assert easiest["distance_ang"] == pytest.approx(SHORT_ANG, abs=0.05)
    assert easiest["edge_id"] == row["limiting_edge"]


def test_layered_licoo2_conducts_in_planes(screened):
    dims = {row["percolation_dim"] for row in ranked(screened, "LiCoO2") if row["space_group_number"] == 166}
    assert dims == {2}


def test_spinel_limn2o4_conducts_in_three_dimensions(screened):
    dims = {row["percolation_dim"] for row in ranked(screened, "LiMn2O4") if row["space_group_number"] == 227}
    assert dims == {3}


def li_oxides(folder: Path) -> dict[str, object]:
    """Return the distinct crystals of the Li oxides in devi2025, both end sites filled, primitive."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from tasks.datasets.devi2025 import FILES, structure_of

    distinct: dict[str, list[tuple[str, object]]] = {}
    matcher = StructureMatcher()
    entries = [
        (f"{split}-{entry['jid']}", entry)
        for split, name in FILES.items()
        for entry in json.loads((folder / name).read_text(encoding="utf-8"))
    ]
    for hop_id, entry in entries:
        structure = structure_of(entry)
        ion, others = (
            structure[0].specie.symbol,
            {element.symbol for element in structure.composition.elements},
        )
        if ion != "Li" or "O" not in others:
            continue
        structure = structure.get_primitive_structure()
        group = distinct.setdefault(structure.composition.reduced_formula, [])
        if not any(matcher.fit(structure, other) for _, other in group):
            group.append((hop_id, structure))
    return {name: structure for group in distinct.values() for name, structure in group}


@pytest.mark.data
def test_the_li_oxides_of_devi2025_are_all_accounted_for(devi2025_dir, tmp_path, checkpoint):
    bench = Bench(tmp_path, checkpoint)
    oxides = li_oxides(devi2025_dir)
    assert 60 <= len(oxides) <= 110
    for name, structure in oxides.items():
        write_cif(structure, bench.folder / f"{name}.cif")
    from flows.campaign import screen

    summary = screen(bench.parameters(workers=2, time_limit_s=120))
    assert summary.n_items == len(oxides)
    assert summary.n_items == summary.n_with_result + sum(summary.failures.values())
    reasons = bench.reasons()
    results = {name for name, row in bench.rankings().items() if row["percolation_dim"] is not None}
    assert results | set(reasons) == {f"{name}.cif" for name in oxides}
    assert not results & set(reasons)
    assert not {"unexpected", "worker_lost", "unreadable_file"} & set(reasons.values()), reasons
    assert len(results) > 0.8 * len(oxides)
