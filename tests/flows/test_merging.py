"""What was compared once is not compared again, and what is taken instead is what comparing would say."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from flows import merging
from flows.context import Context
from storage import queries
from storage.recorder import Recorder
from storage.records import Candidate
from tasks.candidates import cleaning_duplicates
from tasks.candidates.cleaning import clean
from tasks.candidates.cleaning_duplicates import merge_duplicates
from tests.campaigns import GOOD, antifluorite, assert_same, write_cif
from tests.tasks.candidates.test_cleaning import SETTINGS, raw
from tests.tasks.candidates.test_cleaning_duplicates import random_crystals


@pytest.fixture
def compared(monkeypatch):
    """Identifiers of what was compared, a list each time."""
    asked: list[list[str]] = []

    def counting(candidates):
        asked.append([row.material_id for row in candidates])
        return merge_duplicates(candidates)

    monkeypatch.setattr(merging, "merge_duplicates", counting)
    return asked


@pytest.fixture(scope="module")
def crystals() -> list[Candidate]:
    """Some are one material, two are one structure, and all are of one formula."""
    found = random_crystals(12)
    found.append(found[3].copy())
    return [clean(raw(one, f"{k:02d}"), SETTINGS, f"key {k}") for k, one in enumerate(found)]


@pytest.fixture
def merged(tmp_path):
    """A function that merges candidates in some order, as a screening does, and tells who stands for whom."""
    recorder = Recorder(tmp_path / "r.duckdb")
    context = SimpleNamespace(recorder=recorder)
    context.whole = partial(Context.whole, context)

    def merge(candidates):
        new = [row for row in candidates if not recorder.heads_under([row.stage_key])]
        recorder.record(rows=new)
        order = {row.stage_key: place for place, row in enumerate(candidates)}
        heads = sorted(recorder.heads_under(list(order)), key=lambda row: order[row.stage_key])
        keys = merging.material_keys(context, heads)
        merging.merge(context, heads)
        there = {row.stage_key: row for row in recorder.rows_under(Candidate, list(order))}
        assert all(there[row.stage_key].material_key == keys[row.structure_hash] for row in candidates)
        return keys

    return merge


@pytest.mark.parametrize("seed", range(2))
def test_whatever_was_asked_before_the_answer_is_that_of_comparing(merged, compared, crystals, seed):
    rng = np.random.default_rng(seed)
    for _ in range(8):
        order = rng.permutation(len(crystals))[: rng.integers(2, len(crystals) + 1)]
        chosen = [crystals[k] for k in order]
        expected = merge_duplicates(chosen)
        assert merged(chosen) == expected
        compared.clear()
        assert merged(chosen) == expected
        assert compared == []


def test_answers_that_another_selection_left_are_not_taken(merged, compared):
    # Neighbours are one material, the first and the last are not.
    base = antifluorite("Li", "O", 4.62)
    chain = []
    for k, strain in enumerate((0.0, 0.012, 0.024)):
        strained = base.copy()
        strained.apply_strain(strain)
        chain.append(clean(raw(strained, str(k)), SETTINGS, f"key {k}"))
    near, middle, far = chain
    hashes = [row.structure_hash for row in chain]
    assert merged([near, middle, far]) == dict(zip(hashes, [hashes[0], hashes[0], hashes[2]], strict=True))
    # Each of these carries the answer that it had there, among others.
    assert set(merged([middle, near, far]).values()) == {hashes[1]}
    assert merged([far, near]) == {hashes[2]: hashes[2], hashes[0]: hashes[0]}
    assert merged([near, middle, far]) == dict(zip(hashes, [hashes[0], hashes[0], hashes[2]], strict=True))
    assert len(compared[0]) == 3


def test_a_later_version_compares_again(merged, compared, crystals, monkeypatch):
    merged(crystals)
    monkeypatch.setattr(cleaning_duplicates, "STAGE_VERSION", cleaning_duplicates.STAGE_VERSION + 1)
    compared.clear()
    merged(crystals)
    assert len(compared) == 1


def test_what_is_new_is_compared_with_what_is_alike_alone(bench, compared):
    for a_ang in (4.62, 4.9):
        write_cif(antifluorite("Li", "O", a_ang), bench.folder / f"li2o-{a_ang}.cif")
        write_cif(antifluorite("Li", "S", a_ang + 1.1), bench.folder / f"li2s-{a_ang}.cif")
    write_cif(GOOD["lif.cif"], bench.folder / "lif.cif")
    bench.screen()
    assert [sorted(one) for one in compared] == [sorted(path.name for path in bench.folder.glob("li2*"))]
    compared.clear()
    before = bench.tables()
    bench.screen()
    assert compared == []
    assert_same(bench.tables(), before)
    write_cif(antifluorite("Li", "O", 4.65), bench.folder / "li2o-z.cif")
    bench.screen()
    assert compared == [sorted(path.name for path in bench.folder.glob("li2o*"))]
    assert bench.reasons() == {"li2o-z.cif": "duplicate"}
    assert {row["all_ids"] for row in queries.rankings(bench.database)} >= {"li2o-4.62.cif,li2o-z.cif"}
