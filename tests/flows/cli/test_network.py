"""`lihop show ID --network`: the network as text, JSON, a picture and files that other tools read."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest


@pytest.fixture
def network(lihop, database):
    return json.loads(lihop("show", "licoo2.cif", "--network", "--json").out)


def test_json_holds_the_whole_network(network):
    assert (network["formula"], network["working_ion"], len(network["nodes"])) == ("LiCoO2", "Li", 1)
    assert len(network["edges"]) == sum(hop["multiplicity"] for hop in network["hops"])
    first = network["hops"][0]
    assert first["distance_ang"] == pytest.approx(2.816, abs=1e-3)
    assert first["multiplicity"] == 3
    assert first["barrier_ev"] > 0
    assert [level["dim"] for level in network["levels"]][:2] == [1, 2]
    assert {hop["number"] for hop in network["hops"] if hop["rate_limiting"]} <= {
        level["hop"] for level in network["levels"]
    }


def test_text(lihop, database):
    result = lihop("show", "licoo2.cif", "--network")
    assert result.code == 0
    assert "hop network of Li: 1 sites (1 distinct)" in result.out
    for words in ("Sites of the network", "Distinct hops, the lowest barrier first", "Levels", "►", "█"):
        assert words in result.out


def test_a_material_without_percolation(lihop, database):
    result = lihop("show", "walled.cif", "--network")
    assert result.code == 0
    assert "does not percolate: no_hops" in result.out
    assert "by a host atom; such hops carry no percolation." in result.out


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_picture(lihop, database, tmp_path, ending):
    path = tmp_path / "new" / f"network.{ending}"
    result = lihop("show", "licoo2.cif", "--network", "--svg", path)
    assert result.code == 0
    assert f"Wrote {path}." in result.out
    assert path.read_bytes().startswith(b"<?xml" if ending == "svg" else b"\x89PNG")


def test_json_file(lihop, database, network, tmp_path):
    path = tmp_path / "network.json"
    out = lihop("show", "licoo2.cif", "--network", "--json", "--export", path).out
    assert json.loads(out) == network
    written = json.loads(path.read_text())
    assert (written.pop("format"), written.pop("format_version")) == ("lihop hop network", 1)
    assert written == network


def test_extxyz_is_what_ase_reads(lihop, database, network, tmp_path):
    path = tmp_path / "network.extxyz"
    assert lihop("show", "licoo2.cif", "--network", "--export", path).code == 0
    frames = ase.io.read(path, index=":")
    assert [frame.info["hop"] for frame in frames] == [hop["number"] for hop in network["hops"]]
    for frame, hop in zip(frames, network["hops"], strict=True):
        assert frame.info["formula"] == "LiCoO2"
        assert frame.info["barrier_ev"] == pytest.approx(hop["barrier_ev"])
        assert len(frame.info["orbit"]) == hop["multiplicity"]
        path_points = frame[frame.arrays["kind"] == "path"]
        assert len(path_points) == (0 if hop["path_ang"] is None else len(hop["path_ang"]))
        i, j, *image = frame.info["orbit"][0]
        ends = frame.positions[[int(np.flatnonzero(frame.arrays["site"] == k)[0]) for k in (i, j)]]
        length = np.linalg.norm(ends[1] + image @ frame.cell[:] - ends[0])
        assert length == pytest.approx(hop["distance_ang"], abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--svg", "a.svg"], "give --network too"),
        (["--export", "a.json"], "give --network too"),
        (["--network", "--svg", "a.pdf"], ".svg or .png"),
        (["--network", "--export", "a.cif"], ".json or .extxyz"),
    ],
)
def test_what_is_refused_before_anything_is_read(lihop, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = lihop("show", "anything", "--db", "none.duckdb", *arguments)
    assert result.code == 2
    assert result.is_one_message
    assert said in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_one_material(lihop, database, tmp_path, monkeypatch):
    from storage import queries

    rows = queries.material(database, "licoo2") + queries.material(database, "LiF")
    monkeypatch.setattr(queries, "material", lambda *_: rows)
    assert len(json.loads(lihop("show", "both", "--network", "--json").out)) == 2
    result = lihop("show", "both", "--network", "--export", tmp_path / "a.json")
    assert result.code == 2
    assert "2 materials fit" in result.err
    assert "licoo2.cif" in result.err
    assert not (tmp_path / "a.json").exists()


def test_a_file_that_cannot_be_written(lihop, database, tmp_path):
    (tmp_path / "file").write_text("")
    for flag, name in (("--svg", "a.svg"), ("--export", "a.json")):
        result = lihop("show", "licoo2.cif", "--network", flag, tmp_path / "file" / name)
        assert result.code == 2
        assert result.is_one_message
        assert "cannot be written" in result.err
