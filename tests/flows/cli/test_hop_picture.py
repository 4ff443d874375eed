"""`lihop show ID --hop EDGE`: one hop as text, JSON and a picture, and what is no hop."""

from __future__ import annotations

import json

import pytest

from storage import queries


@pytest.fixture
def edges(database):
    (row,) = queries.material(database, "licoo2.cif")
    return queries.hops_of(database, row["structure_hash"], row["working_ion"])


@pytest.fixture
def hop(lihop, edges):
    return json.loads(lihop("show", "licoo2.cif", "--hop", edges[0]["edge_id"], "--json").out)


def test_json_says_what_the_database_says(hop, edges):
    stored = edges[0]
    for name in ("edge_id", "i", "j", "distance_ang", "multiplicity", "mechanism"):
        assert hop[name] == stored[name]
    assert hop["barrier"]["barrier_ev"] == stored["barrier_ev"]
    assert hop["path"]["d_min_ang"] == pytest.approx(stored["d_min_ang"])
    assert hop["path"]["bvse_barrier_ev"] == stored["bvse_barrier_ev"]
    assert hop["states"]["transition"]["energy_ev"] == pytest.approx(stored["bvse_barrier_ev"])
    assert len(hop["path"]["points"]) == 22
    assert {"anion", "cation", "framework"} <= set(hop["bars"])
    assert hop["states"]["initial"]["coordination_number"] == len(hop["states"]["initial"]["anions"]) == 6


def test_shorter_names(lihop, hop, edges):
    without_material = edges[0]["edge_id"].removeprefix("licoo2.cif_")
    for name in ("1", without_material):
        assert json.loads(lihop("show", "licoo2.cif", "--hop", name, "--json").out) == hop


def test_a_divacancy_hop(lihop, edges):
    number, found = next((n, edge) for n, edge in enumerate(edges, 1) if edge["vacancy"])
    hop = json.loads(lihop("show", "licoo2.cif", "--hop", found["edge_id"], "--json").out)
    assert (hop["number"], hop["mechanism"], len(hop["also_vacant"])) == (number, "divacancy", 4)


def test_text(lihop, edges):
    result = lihop("show", "licoo2.cif", "--hop", edges[0]["edge_id"])
    assert result.code == 0
    for words in ("A hop of Li in LiCoO2", edges[0]["edge_id"], "initial", "transition", "final", "d_min (Å)",
                  "bond valence", "H0 pieces", "H1 rings", "H2 cages", "barrier"):  # fmt: skip
        assert words in result.out


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_picture(lihop, edges, tmp_path, ending):
    path = tmp_path / "new" / f"hop.{ending}"
    result = lihop("show", "licoo2.cif", "--hop", edges[0]["edge_id"], "--svg", path)
    assert result.code == 0
    assert f"Wrote {path}." in result.out
    assert path.read_bytes().startswith(b"<?xml" if ending == "svg" else b"\x89PNG")


def test_a_hop_that_is_blocked(lihop, database):
    result = lihop("show", "walled.cif", "--hop", "1")
    assert result.code == 0
    assert "runs through a host atom" in result.out
    assert "no barrier is known" in result.out


@pytest.mark.parametrize("name", ["nonsense", "0", "99", "", "licoo2.cif_0_0_9_9_9"])
def test_no_such_hop(lihop, edges, name):
    result = lihop("show", "licoo2.cif", "--hop", name)
    assert result.code == 2
    assert result.is_one_message
    assert f"--hop {name}" in result.err
    assert edges[0]["edge_id"] in result.err


def test_a_material_without_hops(lihop, database):
    result = lihop("show", "lonely.cif", "--hop", "1")
    assert result.code == 2
    assert "no hop of lonely.cif is stored" in result.err


def test_a_hop_of_one_of_several_materials(lihop, database, edges, monkeypatch):
    rows = queries.material(database, "licoo2") + queries.material(database, "LiF")
    monkeypatch.setattr(queries, "material", lambda *_: rows)
    assert edges[0]["edge_id"] in lihop("show", "both", "--hop", edges[0]["edge_id"]).out
    result = lihop("show", "both", "--hop", "1")
    assert result.code == 2
    assert result.is_one_message
    assert "2 hops fit" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hop", "1", "--svg", "a.pdf"], ".svg or .png"),
        (["--hop", "1", "--network"], "give one of the two"),
        (["--hop", "1", "--export", "a.json"], "give --network too"),
        (["--svg", "a.svg"], "or --hop EDGE"),
    ],
)
def test_what_is_refused_before_anything_is_read(lihop, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = lihop("show", "anything", "--db", "none.duckdb", *arguments)
    assert result.code == 2
    assert result.is_one_message
    assert said in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(lihop, edges, tmp_path):
    (tmp_path / "file").write_text("")
    result = lihop("show", "licoo2.cif", "--hop", "1", "--svg", tmp_path / "file" / "a.svg")
    assert result.code == 2
    assert result.is_one_message
    assert "cannot be written" in result.err
