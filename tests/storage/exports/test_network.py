"""A network's file holds every equivalent hop, whole or not at all."""

import json

import ase.io
import numpy as np
import pytest

from storage.errors import QueryError
from storage.exports.network import export_network

HOP = {
    "number": 1, "edge_id": "1000_0_3_0_0_0", "i": 0, "j": 3, "image": [0, 0, 0], "also_vacant": None,
    "vacancy": "", "mechanism": "isolated", "distance_ang": 1.0, "barrier_ev": 0.25, "blocked_by": None,
    "rate_limiting": True, "opens_dims": [1, 2],
    "path_ang": [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]], "path_energies_ev": [0.0, 0.25, 0.0],
}  # fmt: skip
PAIR = HOP | {"number": 2, "vacancy": "0_1_0_0", "also_vacant": [0, 1, 0, 0], "path_ang": None}
EDGE = {"i": 0, "j": 3, "image": [0, 0, 0], "also_vacant": None}
NETWORK = {
    # Names that Python, and so ASE, takes for numbers.
    "material_id": "1000", "formula": "LiF", "working_ion": "F",
    "lattice_ang": np.diag([4.0, 5.0, 6.0]).tolist(),
    "nodes": [
        {"index": 0, "kind": "occupied", "element": "F", "frac": [0.0, 0.0, 0.0]},
        {"index": 3, "kind": "empty", "element": None, "frac": [0.25, 0.0, 0.0]},
        {"index": 4, "kind": "empty", "element": None, "frac": None},
    ],
    "host": [{"index": k, "element": "Li", "frac": [0.5, 0.5, 0.5 * k]} for k in (1, 2)],
    "hops": [HOP, PAIR],
    "edges": [
        EDGE | {"hop": 1}, EDGE | {"hop": 1, "image": [0, -1, 0]},
        EDGE | {"hop": 2, "also_vacant": [0, 1, 0, 0]},
    ],
}  # fmt: skip


def test_network_as_json(tmp_path):
    written = json.loads(export_network(NETWORK, tmp_path / "deep" / "a.json").read_text())
    assert written == {"format": "lihop hop network", "format_version": 1} | NETWORK


def test_network_as_extxyz_is_what_ase_reads(tmp_path):
    first, second = ase.io.read(export_network(NETWORK, tmp_path / "a.extxyz"), index=":")
    assert first.get_chemical_symbols() == ["F", "Li", "Li", "X", "X", "X", "X"]
    assert first.arrays["kind"].tolist() == ["occupied", "host", "host", "empty", "path", "path", "path"]
    assert first.arrays["site"].tolist() == [0, 1, 2, 3, -1, -1, -1]
    assert first.cell.lengths().tolist() == [4.0, 5.0, 6.0]
    assert first.pbc.all()
    assert first.positions[4:].tolist() == HOP["path_ang"]
    assert first.positions[3].tolist() == [1.0, 0.0, 0.0]
    assert (first.info["material_id"], first.info["edge_id"]) == ("1000", "1000_0_3_0_0_0")
    assert (first.info["working_ion"], first.info["hop"], first.info["barrier_ev"]) == ("F", 1, 0.25)
    assert first.info["rate_limiting"] is True
    assert first.info["opens_dims"].tolist() == [1, 2]
    assert first.info["path_energies_ev"].tolist() == HOP["path_energies_ev"]
    # All equivalents, not only the distinct hop itself.
    assert first.info["orbit"].tolist() == [[0, 3, 0, 0, 0], [0, 3, 0, -1, 0]]
    # What is unknown is absent.
    assert not {"blocked_by", "also_vacant", "orbit_also_vacant", "lower_ev"} & set(first.info)
    assert len(second) == 4
    assert second.info["also_vacant"].tolist() == [0, 1, 0, 0]
    assert second.info["orbit_also_vacant"].tolist() == [[0, 1, 0, 0]]


def test_network_without_hops_is_its_sites(tmp_path):
    (frame,) = ase.io.read(
        export_network(NETWORK | {"hops": [], "edges": []}, tmp_path / "a.extxyz"), index=":"
    )
    assert frame.get_chemical_symbols() == ["F", "Li", "Li", "X"]
    assert "hop" not in frame.info


def test_network_that_cannot_be_written(tmp_path):
    with pytest.raises(QueryError, match=r"\.json or \.extxyz"):
        export_network(NETWORK, tmp_path / "a.xyz")
    with pytest.raises(QueryError, match="no structure"):
        export_network(NETWORK | {"lattice_ang": None}, tmp_path / "a.extxyz")
    (tmp_path / "file").write_text("")
    with pytest.raises(QueryError, match="cannot be written"):
        export_network(NETWORK, tmp_path / "file" / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
