"""Paths as files: LiTraj's reader finds the hops, barriers and ions that the database holds."""

import csv
import math

import ase.io
import numpy as np
import pytest

from storage.database import reading
from storage.errors import QueryError
from storage.exports import paths
from storage.exports.materials import selected
from storage.exports.paths import write_paths
from storage.recorder import Recorder
from tasks.datasets import litraj
from tests.storage.exports.crystals import candidate_of, rock_salt

CRYSTAL = rock_salt()
N = len(CRYSTAL)
EMPTY = [0.263, 0.263, 0.263]


def ends_of(i, j, image, empty=None):
    frac = [*CRYSTAL.frac_coords.tolist(), empty]
    return {"frac_i": frac[i], "frac_j": np.add(frac[j], image).tolist()}


def bent(i, j, image, empty=None):
    """A path that leaves the straight line, and what is known of it."""
    ends = ends_of(i, j, image, empty)
    start, end = (CRYSTAL.lattice.get_cartesian_coords(ends[name]) for name in ("frac_i", "frac_j"))
    shares = np.linspace(0.0, 1.0, 7)
    points = [(1 - s) * start + s * end + 0.3 * math.sin(math.pi * s) * np.array([0, 0, 1.0]) for s in shares]
    return ends | {
        "path_ang": [point.tolist() for point in points], "path_kind": "bvse", "path_converged": True,
        "residual_force_ev_ang": 0.02, "bvse_barrier_ev": 0.7,
        "path_energies_ev": [0.7 * math.sin(math.pi * s) for s in shares],
    }  # fmt: skip


def hop(make, i, j, image, **changes):
    ox, oy, oz = image
    fields = {"i": i, "j": j, "ox": ox, "oy": oy, "oz": oz, "edge_id": f"m1_{i}_{j}_{ox}_{oy}_{oz}"}
    return make.hop("m1", **(fields | {"orbit": [[i, j, ox, oy, oz]]} | changes))


def prediction_of(make, found, barrier_ev):
    names = ("i", "j", "ox", "oy", "oz", "vacancy", "edge_id")
    return make.prediction("m1", barrier_ev=barrier_ev, **{name: getattr(found, name) for name in names})


@pytest.fixture(scope="module")
def db(tmp_path_factory, make):
    recorder = Recorder(tmp_path_factory.mktemp("published") / "lihop.duckdb")
    hops = {
        "between": hop(make, 1, 4, (0, 0, 1), distance_ang=3.0, **bent(1, 4, (0, 0, 1))),
        "to its own image": hop(make, 1, 1, (1, 0, 0), distance_ang=4.1, **bent(1, 1, (1, 0, 0))),
        "straight": hop(make, 4, 4, (-2, 1, 0), distance_ang=8.0),
        "to an empty site": hop(make, 1, N, (0, 0, 0), distance_ang=2.0, **bent(1, N, (0, 0, 0), EMPTY)),
        "divacancy": hop(
            make, 1, 4, (0, 0, 1), distance_ang=3.1, vacancy="1_0_-2_0", mechanism="divacancy",
            edge_id="m1_1_4_0_0_1_v1_0_-2_0", orbit_also_vacant=[[1, 0, -2, 0]], **bent(1, 4, (0, 0, 1)),
        ),
    }  # fmt: skip
    refined = make.refinement(
        "m1", i=1, j=1, ox=1, oy=0, edge_id="m1_1_1_1_0_0", method="vasp-neb", barrier_ev=0.55
    )
    recorder.record(
        rows=[
            make.run(), candidate_of(make, "m1", CRYSTAL), make.run_material(), make.percolation(),
            *hops.values(), refined,
            # The straight one has none, and the divacancy one neither.
            prediction_of(make, hops["between"], 0.25), prediction_of(make, hops["to its own image"], 0.5),
            prediction_of(make, hops["to an empty site"], 0.75),
            candidate_of(make, "m2", CRYSTAL, material_id="no hops"),
        ]
    )  # fmt: skip
    recorder.publish()
    return recorder.paths.published


BARRIERS = {
    "m1_1_6_0_0_0": 0.75, "m1_1_4_0_0_1": 0.25, "m1_1_4_0_0_1_v1_0_-2_0": None, "m1_1_1_1_0_0": 0.55,
    "m1_4_4_-2_1_0": None,
}  # fmt: skip
"""By length."""


def write(db, output, **options):
    with reading(db) as connection:
        return write_paths(connection, selected(connection), output, **options)


def hops_in(path):
    """Frames of a file by hop, in order."""
    found = {}
    for frame in ase.io.read(path, index=":", format="extxyz"):
        found.setdefault(frame.info["edge_id"], []).append(frame)
    return found


def test_frames_say_what_is_known(db, tmp_path):
    assert write(db, tmp_path / "a.extxyz") == 5
    hops = hops_in(tmp_path / "a.extxyz")
    assert list(hops) == list(BARRIERS)
    for edge_id, frames in hops.items():
        assert {frame.info["material_id"] for frame in frames} == {"m1"}
        # Null is unknown: then there is no barrier to read, and never 0.
        assert {frame.info.get("em") for frame in frames} == {BARRIERS[edge_id]}
        assert [frame.info["image_number"] for frame in frames] == list(range(frames[0].info["n_images"]))
        assert {"energy", "charges"}.isdisjoint(frames[0].info)
        assert "initial_charges" not in frames[0].arrays
    first = hops["m1_1_4_0_0_1"][3].info
    assert (first["em_bvse"], first["method"], first["model_digest"]) == (0.7, "cnn", "model-a")
    assert (first["lower_ev"], first["upper_ev"], first["in_domain"]) == (0.125, 0.5, True)
    assert (first["path_kind"], first["path_converged"]) == ("bvse", True)
    assert first["bvse_energy_ev"] == pytest.approx(0.7)
    assert first["structure_hash"] == "hash-m1"
    straight = hops["m1_4_4_-2_1_0"]
    assert len(straight) == paths.STRAIGHT_POINTS
    assert {"em", "em_bvse", "method", "lower_ev", "bvse_energy_ev"}.isdisjoint(straight[0].info)
    assert hops["m1_1_1_1_0_0"][0].info["method"] == "vasp-neb"


def test_litrajs_reader_finds_the_hops_in_a_file(db, tmp_path):
    write(db, tmp_path / "a.extxyz")
    hops = hops_in(tmp_path / "a.extxyz")
    lattice = CRYSTAL.lattice.matrix
    for edge_id, frames in hops.items():
        crystal, i, j = litraj.crystal_of(frames, edge_id)
        assert (crystal.symbols[i], crystal.symbols[j]) == ("Li", "Li")
        cell = crystal.lattice
        begin, end = crystal.frac[i] @ cell, crystal.frac[j] @ cell
        source, target, *offset = (int(part) for part in edge_id.split("_v")[0].split("_")[1:])
        sites = [*CRYSTAL.frac_coords, EMPTY]
        assert np.allclose(begin, sites[source] @ lattice, atol=1e-6)
        assert np.allclose(end - begin, (np.add(sites[target], offset) - sites[source]) @ lattice, atol=1e-6)
        repeats = frames[0].info["supercell"]
        assert np.allclose(cell, lattice * np.reshape(repeats, (3, 1)), atol=1e-6)
        # The crystal with both ends filled; a divacancy hop has one ion less, an empty site one more.
        more = {"m1_1_6_0_0_0": 1, "m1_1_4_0_0_1_v1_0_-2_0": -1}.get(edge_id, 0)
        assert len(crystal.symbols) == N * np.prod(repeats) + more
        assert edge_id.endswith("v1_0_-2_0") <= (repeats[1] == 3)
        heights = np.abs(np.linalg.det(cell)) / np.linalg.norm(
            np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0)), axis=1
        )
        assert heights.min() >= paths.MIN_HEIGHT_ANG
    # Images are the points of the path, and only the ion moves.
    frames = hops["m1_1_4_0_0_1"]
    moving = frames[0].info["moving_atom"]
    places = [frame.positions[moving] for frame in frames]
    assert np.allclose(places, bent(1, 4, (0, 0, 1))["path_ang"], atol=1e-7)
    others = [np.delete(frame.positions, moving, axis=0) for frame in frames]
    assert np.allclose(others, others[0])


def test_a_folder_is_read_as_nebdft2k(db, tmp_path):
    assert write(db, tmp_path / "nebDFT2k") == 5
    with (tmp_path / "nebDFT2k" / "nebDFT2k_index.csv").open(newline="") as file:
        lines = {line["edge_id"]: line for line in csv.DictReader(file)}
    assert {name: line["em"] for name, line in lines.items()} == {
        name: "" if barrier is None else str(barrier) for name, barrier in BARRIERS.items()
    }
    assert {line["chemsys"] for line in lines.values()} == {"Co-Li-O"}
    folder = tmp_path / "nebDFT2k"
    records = {
        entry[0]: litraj.record_of("nebDFT2k", folder, entry) for entry in litraj.entries("nebDFT2k", folder)
    }
    assert list(records) == list(BARRIERS)
    for record in records.values():
        assert record.crystal.symbols[record.i] == record.crystal.symbols[record.j] == "Li"
    # What is called DFT is, and what is not known to be is nothing.
    assert records["m1_1_1_1_0_0"].barrier_ev == 0.55
    assert all(math.isnan(records[name].barrier_ev) for name in BARRIERS if name != "m1_1_1_1_0_0")
    assert lines["m1_1_1_1_0_0"]["em_bvse"] == "0.7"


def test_centroids_are_read_as_nebbvse122k(db, tmp_path):
    assert write(db, tmp_path / "nebBVSE122k_test.xyz", centroids=True) == 5
    for split in ("train", "val"):
        (tmp_path / f"nebBVSE122k_{split}.xyz").write_text("")
    entries = list(litraj.entries("nebBVSE122k", tmp_path))
    assert [edge_id for edge_id, _, _ in entries] == list(BARRIERS)
    known = [entry for entry in entries if BARRIERS[entry[0]] is not None]
    for edge_id, split, frame in known:
        record = litraj.record_of("nebBVSE122k", tmp_path, (edge_id, split, frame))
        assert record.barrier_ev == BARRIERS[edge_id]
        cell = record.crystal.lattice
        apart = (record.crystal.frac[record.j] + record.image - record.crystal.frac[record.i]) @ cell
        source, target, *offset = (int(part) for part in edge_id.split("_")[1:])
        sites = [*CRYSTAL.frac_coords, EMPTY]
        expected = (np.add(sites[target], offset) - sites[source]) @ CRYSTAL.lattice.matrix
        assert np.linalg.norm(apart) == pytest.approx(np.linalg.norm(expected), abs=1e-5)
        assert record.crystal.symbols[record.i] == "Li"
        assert record.note == "" or target == N
    with pytest.raises(litraj.UnreadableHopError, match="no barrier em"):
        litraj.record_of("nebBVSE122k", tmp_path, entries[-1])


def test_names_from_elsewhere_stay_in_the_folder(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    evil = hop(make, 1, 4, (0, 0, 1), edge_id="../../evil_1_4_0_0_1")
    recorder.record(
        rows=[make.run(), candidate_of(make, "m1", CRYSTAL), make.run_material(), make.percolation(), evil]
    )
    recorder.publish()
    assert write(recorder.paths.published, tmp_path / "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "evil_1_4_0_0_1_init.xyz", "nebDFT2k_index.csv"
    ]  # fmt: skip
    (entry,) = litraj.entries("nebDFT2k", tmp_path / "out")
    assert litraj.record_of("nebDFT2k", tmp_path / "out", entry).name == "evil_1_4_0_0_1"


def test_what_cannot_be_written(db, tmp_path):
    with pytest.raises(QueryError, match=r"\.extxyz or \.xyz, or a folder"):
        write(db, tmp_path / "a.cif")
    with pytest.raises(QueryError, match="cannot be written"):
        write(db, tmp_path, centroids=True)
    assert list(tmp_path.iterdir()) == []
