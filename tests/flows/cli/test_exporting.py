"""`lihop export` writes whole tables, structures and paths, and refuses what it cannot write."""

from __future__ import annotations

import json

import ase.io
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure

from storage import queries
from storage.database import reading
from storage.streams import relations
from tasks.datasets import litraj
from tests.campaigns import GOOD


def test_every_table_and_view(lihop, database, tmp_path):
    with reading(database) as connection:
        names = relations(connection)
    assert {"rankings", "hops", "predictions", "percolation", "candidates", "failures", "runs"} <= set(names)
    for name in names:
        said = lihop("export", name, "--output", tmp_path / f"{name}.parquet", "--json")
        assert said.code == 0, said.err
        expected = queries.sql(database, f"SELECT count(*) FROM {name}").rows[0][0]
        assert json.loads(said.out)["rows"] == expected
        assert pq.read_table(tmp_path / f"{name}.parquet").num_rows == expected


def test_other_formats(lihop, database, tmp_path):
    rows = json.loads(lihop("rank", "--json").out)
    assert lihop("export", "rankings", "--output", tmp_path / "r.json").code == 0
    assert json.loads((tmp_path / "r.json").read_text()) == rows
    said = lihop("export", "rankings", "--output", tmp_path / "r.txt", "--format", "csv")
    assert said.out == f"Wrote {len(rows)} rows to {tmp_path / 'r.txt'}.\n"
    assert (tmp_path / "r.txt").read_text().startswith('"rank","formula"')


def test_structures(lihop, database, tmp_path):
    said = lihop("export", "structures", "--output", tmp_path / "cifs", "--json")
    written = sorted((tmp_path / "cifs").iterdir())
    ranked = json.loads(lihop("rank", "--json").out)
    assert json.loads(said.out)["written"] == len(written) == len(ranked)
    assert {f"{name}" for name in GOOD} <= {path.name for path in written}
    for path in written:
        row = next(row for row in ranked if row["material_id"] == path.name)
        assert len(Structure.from_file(path)) == row["n_sites"]
        assert f"_lihop_structure_hash '{row['structure_hash']}'" in path.read_text()
    said = lihop("export", "structures", "--output", tmp_path / "best.extxyz", "--top", "2")
    assert said.out == f"Wrote 2 structures to {tmp_path / 'best.extxyz'}.\n"
    best = [frame.info["material_id"] for frame in ase.io.read(tmp_path / "best.extxyz", index=":")]
    assert best == [row["material_id"] for row in ranked[:2]]
    two = ("--material", "lif.cif", "--material", "LiCoO2")
    assert lihop("export", "structures", "--output", tmp_path / "two.cif", *two).code == 0
    assert (tmp_path / "two.cif").read_text().count("\ndata_") == 2


def test_paths(lihop, database, tmp_path):
    row = next(row for row in json.loads(lihop("rank", "--json").out) if row["material_id"] == "licoo2.cif")
    hops = {hop["edge_id"]: hop for hop in queries.network_of(database, row["structure_hash"], "Li")}
    said = lihop("export", "paths", "--output", tmp_path / "a.extxyz", "--material", "licoo2.cif")
    assert (
        said.out == f"Wrote {len(hops)} hop path{'' if len(hops) == 1 else 's'} to {tmp_path / 'a.extxyz'}.\n"
    )
    frames = ase.io.read(tmp_path / "a.extxyz", index=":")
    assert {frame.info["edge_id"]: frame.info.get("em") for frame in frames} == {
        name: hop["barrier_ev"] for name, hop in hops.items()
    }
    assert lihop("export", "paths", "--output", tmp_path / "neb", "--material", "licoo2.cif").code == 0
    entries = list(litraj.entries("nebDFT2k", tmp_path / "neb"))
    assert [edge_id for edge_id, _, _ in entries] == list(hops)
    for entry in entries:
        record = litraj.record_of("nebDFT2k", tmp_path / "neb", entry)
        assert record.crystal.symbols[record.i] == record.crystal.symbols[record.j] == "Li"
    marks = tmp_path / "nebBVSE122k_test.xyz"
    assert lihop("export", "paths", "--output", marks, "--centroids", "--top", "1").code == 0
    assert all("X" in frame.get_chemical_symbols() for frame in ase.io.read(marks, index=":"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hop", "--output", "{folder}/a.csv"), "structures, paths, and the tables and views candidates"),
        (('runs"; DROP TABLE runs', "--output", "{folder}/a.csv"), "cannot be exported"),
        (("hops", "--output", "{folder}/a.xyz"), "allowed are csv, json, parquet"),
        (("hops", "--output", "{folder}/a.csv", "--format", "xlsx"), "allowed are csv, json, parquet"),
        (("hops", "--output", "{folder}/a.csv", "--material", "lif.cif"), "lihop sql"),
        (("hops", "--output", "{folder}/a.csv", "--top", "3"), "--top is of structures"),
        (("hops", "--output", "{folder}/a.csv", "--centroids"), "--centroids is of paths"),
        (("hops", "--output", "{database}", "--format", "csv"), "belongs to the database"),
        (("structures", "--output", "{database}"), "belongs to the database"),
        (("structures", "--output", "{folder}/a.json"), ".cif or .extxyz"),
        (("structures", "--output", "{folder}/a.cif", "--format", "csv"), "--format csv is of tables"),
        (("structures", "--output", "{folder}/a.cif", "--material", "nothing"), "is called 'nothing'"),
        (("paths", "--output", "{folder}/a.cif"), ".extxyz or .xyz, or a folder"),
        (("paths", "--output", "{folder}", "--centroids"), "cannot be written"),
        (("hops", "--output", "/proc/none/a.csv"), "cannot be written"),
    ],
)  # fmt: skip
def test_what_is_refused(lihop, database, tmp_path, arguments, said):
    before = database.read_bytes()
    result = lihop("export", *(text.format(folder=tmp_path, database=database) for text in arguments))
    assert result.code == 2
    assert result.is_one_message
    assert said in result.err
    assert list(tmp_path.iterdir()) == []
    assert database.read_bytes() == before
