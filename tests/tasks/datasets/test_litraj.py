"""LiTraj's layout: hops read from it are those of the unit cells that the files were written from."""

from __future__ import annotations

import numpy as np
import pytest
from ase.io import read, write
from pymatgen.core import Lattice, Structure

from tasks.datasets import litraj, registry
from tasks.datasets.errors import DatasetError, UnreadableHopError
from tasks.datasets.fingerprints import SAME_HOP_ANG, difference_ang, fingerprint
from tasks.datasets.reading import check_counts, check_tables, read_records, records_or_refuse, splits_of
from tasks.datasets.records import Crystal, HopRecord
from tests.tasks.datasets.litraj_files import (
    atoms_of,
    centroid,
    edge_id,
    trajectory,
    write_index,
    write_nebbvse122k,
    write_nebdft2k,
)
from tests.tasks.hops.crystals import octahedral_layers, single_layers

LITIS2 = single_layers()
LICOO2 = octahedral_layers("Li", "Co", "O", 2.816, 14.05, 0.2605)
HOPS = [
    ("mp-1", LITIS2, 0, 0, (1, 0, 0), (3, 3, 2), 0.61, "train"),
    ("mp-1", LITIS2, 0, 0, (0, 0, 1), (3, 3, 2), 2.9, "val"),
    ("mp-2", LICOO2, 0, 1, (0, 0, 0), (3, 3, 1), 0.47, "test"),
    ("mp-2", LICOO2, 0, 0, (-1, -1, 0), (4, 4, 1), 0.48, "test"),
]


def expected(structure, i, j, image):
    """The hop in its unit cell."""
    crystal = structure if isinstance(structure, Crystal) else Crystal.of(structure)
    return HopRecord("x", "x", "train", crystal, i, j, image, 0.5, "")


@pytest.fixture
def trajectories(tmp_path):
    write_nebdft2k(tmp_path / "nebDFT2k", HOPS)
    return tmp_path / "nebDFT2k"


@pytest.fixture
def centroids(tmp_path):
    frames = {"train": [], "val": [], "test": []}
    for material, structure, i, j, image, repeats, em, split in HOPS:
        frames[split].append(centroid(structure, i, j, image, repeats, em, material))
    write_nebbvse122k(tmp_path / "nebBVSE122k", frames)
    return tmp_path / "nebBVSE122k"


@pytest.mark.parametrize("name", ["nebDFT2k", "nebBVSE122k"])
def test_the_hops_are_those_that_were_written(name, request):
    folder = request.getfixturevalue("trajectories" if name == "nebDFT2k" else "centroids")
    records, broken = read_records(name, folder)
    assert broken == []
    by_id = {record.hop_id: record for record in records}
    assert len(by_id) == len(HOPS)
    for material, structure, i, j, image, _, em, split in HOPS:
        record = by_id[f"{split}-{edge_id(material, i, j, image)}"]
        gap = difference_ang(fingerprint(record), fingerprint(expected(structure, i, j, image)))
        assert gap < 1e-5
        assert (record.ion, record.split, record.barrier_ev) == ("Li", split, em)
        assert record.host_formula == ("TiS2" if material == "mp-1" else "CoO2")
        assert record.host_ion_fraction == 1.0
        assert record.note == ""
    assert splits_of(name, folder) == ("train", "val", "test")


def test_both_ends_are_filled_and_nothing_else_is_added(trajectories):
    records = records_or_refuse("nebDFT2k", trajectories, {"train"})
    (record,) = records
    assert len(record.structure) == len(LITIS2) * 18
    assert record.structure.composition.reduced_formula == "LiTiS2"
    environment = record.cut()()
    assert environment.working_ion == "Li"
    assert environment.path_ang[-1] - environment.path_ang[0] == pytest.approx(
        LITIS2.lattice.matrix[0], abs=1e-6
    )


def test_files_of_the_library_that_litraj_was_made_with(tmp_path):
    """An independent writer of the same layout: `ions` makes the images, centred and wrapped."""
    from ions.edge import Edge

    cell = atoms_of(LICOO2)
    folder = tmp_path / "nebDFT2k"
    folder.mkdir()
    rows = []
    for i, j, image in [(0, 1, (0, 0, 0)), (0, 0, (1, 0, 0)), (1, 2, (0, 0, 0))]:
        name = edge_id("mp-2", i, j, image)
        images = Edge(cell, i, j, image).superedge(8.0).interpolate(5)
        write(folder / f"{name}_init.xyz", images, format="extxyz")
        rows.append({"edge_id": name, "material_id": "mp-2", "em_dft": 0.4, "_split": "train"})
    write_index(folder / "nebDFT2k_index.csv", rows)
    records, broken = read_records("nebDFT2k", folder)
    assert broken == []
    for record in records:
        parts = record.name.split("_")
        i, j, *image = (int(part) for part in parts[1:])
        wanted = expected(LICOO2, i, j, tuple(image))
        assert difference_ang(fingerprint(record), fingerprint(wanted)) < 1e-4


def test_a_trajectory_read_backwards_is_the_same_hop():
    images = trajectory(LITIS2, 0, 0, (1, 0, 0), (3, 3, 2))
    found = []
    for order in (images, images[::-1]):
        structure, i, j = litraj.crystal_of(order, "x")
        found.append(fingerprint(expected(structure, i, j, (0, 0, 0))))
    assert difference_ang(*found) < 1e-9


def test_a_host_that_differs_between_the_ends_is_taken_halfway():
    images = trajectory(LITIS2, 0, 0, (1, 0, 0), (3, 3, 2))
    sulphur = next(k for k, symbol in enumerate(images[0].symbols) if symbol == "S")
    before = images[0].positions[sulphur].copy()
    images[-1].positions[sulphur] += [0.0, 0.0, 0.2]
    for image in images[1:-1]:
        image.positions[sulphur] += [0.0, 0.0, 0.1]
    crystal, _, _ = litraj.crystal_of(images, "x")
    assert crystal.frac[sulphur] @ crystal.lattice == pytest.approx(before + np.array([0.0, 0.0, 0.1]))


def test_several_moving_ions_are_no_hop_of_one():
    images = trajectory(LITIS2, 0, 0, (1, 0, 0), (3, 3, 2))
    for share, image in zip(np.linspace(0.0, 1.0, len(images)), images, strict=True):
        image.positions[3] += share * np.array([2.5, 0.0, 0.0])
    with pytest.raises(UnreadableHopError, match="another atom moves 2"):
        litraj.crystal_of(images, "x")


def test_images_that_are_no_trajectory():
    images = trajectory(LITIS2, 0, 0, (1, 0, 0), (2, 2, 2))
    with pytest.raises(UnreadableHopError, match="1 images"):
        litraj.crystal_of(images[:1], "x")
    with pytest.raises(UnreadableHopError, match="2 sets of atoms"):
        litraj.crystal_of([images[0], images[1][1:]], "x")
    bare = [image[[k for k, s in enumerate(image.symbols) if s != "Li"]] for image in images]
    with pytest.raises(UnreadableHopError, match="no Li"):
        litraj.crystal_of(bare, "x")


def test_missing_and_broken_files_are_named(trajectories):
    name = edge_id("mp-1", 0, 0, (1, 0, 0))
    (trajectories / f"{name}_init.xyz").unlink()
    broken = trajectories / f"{edge_id('mp-2', 0, 1, (0, 0, 0))}_init.xyz"
    broken.write_text(broken.read_text()[:700])
    records, findings = read_records("nebDFT2k", trajectories)
    assert len(records) == 2
    assert [finding.severity for finding in findings] == ["error", "error"]
    assert f"{name}_init.xyz is missing" in findings[0].message
    assert "is broken" in findings[1].message
    with pytest.raises(DatasetError, match=r"1 hops cannot be read.*is missing"):
        records_or_refuse("nebDFT2k", trajectories, {"train"})


def test_tables_without_columns_or_rows(trajectories):
    index = trajectories / "nebDFT2k_index.csv"
    index.write_text("edge_id,_split\na,train\n")
    with pytest.raises(DatasetError, match="em_dft are missing"):
        read_records("nebDFT2k", trajectories)
    index.write_text("edge_id,em_dft,_split\n")
    with pytest.raises(DatasetError, match="no rows"):
        read_records("nebDFT2k", trajectories)
    index.write_text("edge_id,em_dft,_split\na,0.3,training\n")
    with pytest.raises(DatasetError, match=r"line 2: split 'training'"):
        read_records("nebDFT2k", trajectories)


def test_a_missing_barrier_is_unknown_and_not_zero(trajectories):
    index = trajectories / "nebDFT2k_index.csv"
    index.write_text(index.read_text().replace(",0.61,", ",,"))
    records, _ = read_records("nebDFT2k", trajectories, {"train"})
    assert np.isnan(records[0].barrier_ev)


@pytest.mark.parametrize("name", ["nebDFT2k", "nebBVSE122k"])
def test_tables_that_contradict_the_frames(name, request):
    folder = request.getfixturevalue("trajectories" if name == "nebDFT2k" else "centroids")
    assert check_tables(name, folder) == []
    index = folder / f"{name}_index.csv"
    index.write_text(index.read_text().replace("0.47", "0.57"))
    (finding,) = check_tables(name, folder)
    assert finding.ids == (edge_id("mp-2", 0, 1, (0, 0, 0)),)


def test_another_number_of_hops_is_an_error(centroids):
    records, _ = read_records("nebBVSE122k", centroids)
    (finding,) = check_counts("nebBVSE122k", records)
    assert "train 1 instead of 96849" in finding.message
    assert registry.find_folder("nebBVSE122k", str(centroids.parent)) == centroids


class TestCentroids:
    SQUARE = Structure(Lattice.cubic(3.2), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    def ends(self, atoms):
        return litraj.record_of("nebBVSE122k", None, (atoms.info["edge_id"], "train", atoms))

    def test_the_edge_s_numbers_tell_diagonals_apart(self):
        """Both diagonals of a square have one midpoint and one length."""
        for i, image in ((0, (1, 1, 0)), (0, (-1, 1, 0))):
            atoms = centroid(self.SQUARE, i, i, image, (3, 3, 3), 0.5, "mp-3")
            record = self.ends(atoms)
            along = (
                record.structure[record.j].frac_coords + record.image - record.structure[record.i].frac_coords
            )
            assert along @ record.structure.lattice.matrix == pytest.approx(3.2 * np.array(image), abs=1e-6)

    def test_numbers_that_do_not_fit_leave_the_nearest_pair(self):
        atoms = centroid(self.SQUARE, 0, 0, (1, 0, 0), (3, 3, 3), 0.5, "mp-3", edge="mp-3_7_9_5_0_0")
        record = self.ends(atoms)
        assert "marked centre" in record.note
        wanted = expected(self.SQUARE, 0, 0, (1, 0, 0))
        assert difference_ang(fingerprint(record), fingerprint(wanted)) < 1e-6

    def test_equally_near_pairs_are_not_guessed_at(self):
        atoms = centroid(self.SQUARE, 0, 0, (1, 1, 0), (3, 3, 3), 0.5, "mp-3", edge="unknown")
        with pytest.raises(UnreadableHopError, match="several pairs"):
            self.ends(atoms)

    def test_a_mark_that_is_no_middle(self):
        atoms = centroid(self.SQUARE, 0, 0, (1, 0, 0), (3, 3, 3), 0.5, "mp-3")
        atoms.positions[-1] += [0.4, 0.3, 0.2]
        with pytest.raises(UnreadableHopError, match="opposite"):
            self.ends(atoms)

    def test_frames_without_mark_or_barrier(self):
        atoms = centroid(self.SQUARE, 0, 0, (1, 0, 0), (3, 3, 3), 0.5, "mp-3")
        with pytest.raises(UnreadableHopError, match="0 atoms X"):
            self.ends(self.without(atoms))
        del atoms.info["em"]
        with pytest.raises(UnreadableHopError, match="no barrier em"):
            self.ends(atoms)

    @staticmethod
    def without(atoms):
        bare = atoms[:-1]
        bare.info = dict(atoms.info)
        return bare

    def test_a_skewed_cell(self):
        """Rounding alone finds another image of the mark than the nearest."""
        skew = Structure(
            Lattice([[3.0, 0, 0], [2.4, 3.0, 0], [2.1, 2.2, 3.0]]), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        for image in ((1, 0, 0), (0, 1, 0), (-1, 1, 0), (0, -1, 1)):
            record = self.ends(centroid(skew, 0, 0, image, (2, 2, 2), 0.5, "mp-4"))
            gap = difference_ang(fingerprint(record), fingerprint(expected(skew, 0, 0, image)))
            assert gap < SAME_HOP_ANG


def test_frames_that_are_cut_off(centroids):
    path = centroids / "nebBVSE122k_test.xyz"
    assert len(read(path, index=":")) == 2
    path.write_text(path.read_text()[:-300])
    with pytest.raises(DatasetError, match="cut off"):
        read_records("nebBVSE122k", centroids)
    path.unlink()
    with pytest.raises(DatasetError, match="does not exist"):
        read_records("nebBVSE122k", centroids)


@pytest.mark.slow
def test_descriptors_are_those_of_the_unit_cell():
    """Relaxed and described, a hop of either layout is the hop that a screening of its crystal would see."""
    from tasks.datasets.records import relax
    from tasks.descriptors.assemble import describe_batch

    crystal, i, j = litraj.crystal_of(
        trajectory(LICOO2, 0, 0, (1, 0, 0), (3, 3, 1), shift=(1.3, -0.4, 2.2)), "x"
    )
    marked = centroid(LICOO2, 0, 0, (1, 0, 0), (3, 3, 1), 0.5, "mp-2")
    records = [
        expected(LICOO2, 0, 0, (1, 0, 0)),
        expected(crystal, i, j, (0, 0, 0)),
        litraj.record_of("nebBVSE122k", None, (marked.info["edge_id"], "train", marked)),
    ]
    for name, values in describe_batch([hop.environment for hop in relax(records)]).items():
        for other in values[1:]:
            assert other == pytest.approx(values[0], rel=1e-5, abs=1e-5, nan_ok=True), name
