"""The devi2025 loader: on entries made by hand, and on the published files."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks.datasets import devi2025
from tasks.datasets.errors import DatasetError
from tasks.descriptors.assemble import describe
from tasks.descriptors.keys import group_keys
from tests.tasks.descriptors.test_every_hop import unexplained

if TYPE_CHECKING:
    from pathlib import Path


def entry(**changes):
    """A tetragonal Na2MgO2-like toy: five pictures of Na, one more Na, one Mg, two O."""
    start, end = np.array([0.9, 0.5, 0.5]), np.array([1.4, 0.5, 0.5])
    pictures = [start + share * (end - start) for share in np.linspace(0.0, 1.0, 5)]
    host = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.25, 0.25, 0.0], [0.75, 0.75, 0.0]]
    made = {
        "class": "TOY", "sys_name": "toy_1", "target": 0.42, "formula": "", "jid": 7,
        "atoms": {
            "lattice_mat": [[6.0, 0, 0], [0, 6.0, 0], [0, 0, 5.0]],
            "coords": [*[p.tolist() for p in pictures], *host],
            "elements": ["Na"] * 6 + ["Mg", "O", "O"],
            "cartesian": False,
        },
    }  # fmt: skip
    made["atoms"].update(changes)
    return made


def test_pictures_become_two_ends_and_the_rest_stays():
    structure = devi2025.structure_of(entry())
    assert [site.specie.symbol for site in structure] == ["Na", "Na", "Na", "Mg", "O", "O"]
    assert structure.frac_coords[:2] == pytest.approx(np.array([[0.9, 0.5, 0.5], [1.4, 0.5, 0.5]]))
    hop = devi2025.hop_of(entry(), "train")
    assert (hop.hop_id, hop.name, hop.ion, hop.barrier_ev, hop.split) == (
        "train-7",
        "toy_1",
        "Na",
        0.42,
        "train",
    )
    assert (hop.formula, hop.host_formula) == ("Na3MgO2", "MgO2")
    env = hop.environment
    assert env.path_ang[-1] - env.path_ang[0] == pytest.approx([3.0, 0.0, 0.0])
    assert env.host_working_ion_fraction == pytest.approx(1.0 / 3.0)
    assert env.n_sites == 6


def test_wrapped_pictures_and_cartesian_coordinates_mean_the_same():
    plain = devi2025.structure_of(entry())
    coords = np.array(entry()["atoms"]["coords"])
    wrapped = coords.copy()
    wrapped[:5] %= 1.0
    assert devi2025.structure_of(entry(coords=wrapped.tolist())).frac_coords == pytest.approx(
        plain.frac_coords
    )
    cartesian = (coords * [6.0, 6.0, 5.0]).tolist()
    again = devi2025.structure_of(entry(coords=cartesian, cartesian=True))
    assert again.frac_coords == pytest.approx(plain.frac_coords)


def test_an_end_that_is_written_twice_is_kept_once():
    coords = np.array(entry()["atoms"]["coords"])
    coords[5] = [0.402, 0.5, 0.5]  # the other Na now sits on the final site, one cell away
    assert len(devi2025.structure_of(entry(coords=coords.tolist()))) == 5
    coords[5] = [0.55, 0.5, 0.5]  # 0.9 Å away is another atom, however odd
    assert len(devi2025.structure_of(entry(coords=coords.tolist()))) == 6


def test_entries_that_are_no_hop_are_refused():
    coords = np.array(entry()["atoms"]["coords"])
    coords[2] += [0.0, 0.2, 0.0]
    with pytest.raises(DatasetError, match="Entry 7"):
        devi2025.structure_of(entry(coords=coords.tolist()))
    with pytest.raises(DatasetError, match="not one ion"):
        devi2025.structure_of(entry(elements=["Na"] * 4 + ["Li", "Na", "Mg", "O", "O"]))


def test_missing_and_broken_files_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("LIHOP_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError, match="LIHOP_DATA_DIR"):
        devi2025.find_data_dir()
    with pytest.raises(DatasetError, match="does not exist"):
        devi2025.read_entries(tmp_path, "test")
    folder = tmp_path / "devi2025"
    folder.mkdir()
    (folder / "train_5images.json").write_text(json.dumps([entry()]))
    (folder / "test_5images.json").write_text("[{")
    assert devi2025.find_data_dir() == folder
    assert devi2025.find_data_dir(folder) == folder
    assert devi2025.find_data_dir(tmp_path) == folder
    with pytest.raises(DatasetError, match="holds 1 entries instead of 559"):
        devi2025.read_entries(folder, "train")
    with pytest.raises(DatasetError, match="is no JSON"):
        devi2025.read_entries(folder, "test")
    monkeypatch.delenv("LIHOP_DATA_DIR")
    monkeypatch.chdir(folder)
    with pytest.raises(DatasetError, match="data"):
        devi2025.find_data_dir()


@pytest.mark.data
def test_published_files(devi2025_dir: Path):
    """Every entry reads, each end stands once, and the training barriers are the published ones."""
    entries = {split: devi2025.read_entries(devi2025_dir, split) for split in ("train", "test")}
    assert {split: len(rows) for split, rows in entries.items()} == {"train": 559, "test": 60}
    hosts, dropped, ions = set(), {}, Counter()
    for split, rows in entries.items():
        for row in rows:
            structure = devi2025.structure_of(row)
            ion = row["atoms"]["elements"][0]
            ions[ion] += 1
            if len(structure) != len(row["atoms"]["elements"]) - 3:
                dropped[row["sys_name"]] = (split, len(row["atoms"]["elements"]) - 3 - len(structure))
            for end in (0, 1):
                apart = structure.frac_coords - structure.frac_coords[end]
                apart -= np.round(apart)
                near = np.linalg.norm(apart @ structure.lattice.matrix, axis=1) < devi2025.SAME_SITE_ANG
                assert near.sum() == 1, row["sys_name"]
            composition = structure.composition
            hosts.add((composition - {ion: composition[ion]}).reduced_formula)
    assert len(hosts) == 179
    assert dropped == {"Na4MnAlP3O12_2": ("train", 1), "Na4MnAlP3O12_3": ("train", 1)}
    assert ions["Li"] == 175
    targets = np.array([row["target"] for row in entries["train"]])
    assert (targets > 0).all()
    assert np.median(targets) == pytest.approx(0.61)
    assert targets.mean() == pytest.approx(0.8441, abs=1e-4)
    assert (targets.min(), targets.max()) == (0.0035, 8.77)


@pytest.mark.data
def test_every_twentieth_hop_is_described(devi2025_dir: Path):
    for row in devi2025.read_entries(devi2025_dir, "train")[::20]:
        hop = devi2025.hop_of(row, "train")
        env = hop.environment
        for end in (0, -1):
            away = np.linalg.norm(env.coords_ang - env.path_ang[end], axis=1)
            assert away.min() > devi2025.SAME_SITE_ANG, hop.name
        groups = describe(env)
        for name, values in groups.items():
            assert not np.isinf(values).any(), (hop.name, name)
            if name != "topology":
                assert np.isnan(values).mean() < 0.25, (hop.name, name)
        # Clouds without rings or cages have no figures of them, so that each gap is asked for its reason.
        found = {name: dict(zip(group_keys(name), values, strict=True)) for name, values in groups.items()}
        assert unexplained(env, found) == [], hop.name
