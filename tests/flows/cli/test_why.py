"""`lihop show ID --why`: what moves the prediction of a stored hop, and what cannot be explained."""

from __future__ import annotations

import json

import pytest

from models.checkpoints import load
from storage import queries
from tests.campaigns import write_checkpoint


@pytest.fixture
def row(database):
    (found,) = queries.material(database, "licoo2.cif")
    return found


@pytest.fixture
def limiting(database, row):
    (known,) = queries.percolation_of(database, row["structure_hash"])
    return known[f"limiting_edge_{row['percolation_dim']}d"]


def test_json_of_the_rate_limiting_hop_by_the_model_that_predicted_it(
    lihop, database, checkpoint, row, limiting
):
    # The run that is recorded says where its model lies.
    found = json.loads(lihop("show", "licoo2.cif", "--why", "--json").out)
    stored = next(h for h in queries.hops_of(database, row["structure_hash"]) if h["edge_id"] == limiting)
    assert (found["edge_id"], found["rate_limiting"]) == (limiting, True)
    assert found["model"] == {"name": load(checkpoint).name, "digest": load(checkpoint).digest, "same": True}
    assert found["stored"]["barrier_ev"] == stored["barrier_ev"]
    for name in ("barrier_ev", "lower_ev", "upper_ev"):
        assert found[name] == pytest.approx(stored[name], rel=5e-3), name
    assert found["agrees"] is True
    assert found["in_domain"] == stored["in_domain"]
    keys = {entry["name"]: entry for entry in found["rows"] if entry["what"] == "key"}
    assert keys["hop_length_ang"]["value"] == pytest.approx(stored["distance_ang"], abs=1e-3)
    assert (keys["hop_length_ang"]["unit"], keys["hop_length_ang"]["meaning"]) == (
        "Å", "distance between the end sites"
    )  # fmt: skip
    assert [entry["name"] for entry in found["rows"] if entry["what"] == "group"] != []
    assert {"d_min", "H0 bars"} <= {entry["name"] for entry in found["rows"] if entry["what"] == "family"}


def test_another_hop_by_its_number(lihop, row):
    found = json.loads(lihop("show", "licoo2.cif", "--why", "--hop", "1", "--json").out)
    assert found["number"] == 1


def test_text(lihop, row, limiting):
    result = lihop("show", "licoo2.cif", "--why")
    assert result.code == 0, result.err
    expected = (
        "Why ", limiting, "rate-limiting", "90% interval", "training domain", "Groups of descriptors",
        "Families of descriptors", "Single descriptors", "moves the barrier by (eV)", "do not add up",
        "d_min",
    )  # fmt: skip
    for words in expected:
        assert words in result.out, words
    assert "Beware" not in result.out


def test_another_model_is_said_to_be_another(lihop, database, row, monkeypatch, tmp_path):
    from flows import explanation

    other = write_checkpoint(tmp_path / "other", seed=3)
    monkeypatch.setenv("LIHOP_MODEL", str(other))
    monkeypatch.setattr(explanation, "RUNS", "SELECT model_digest, settings_json FROM runs WHERE false")
    result = lihop("show", "licoo2.cif", "--why")
    assert result.code == 0, result.err
    assert f"another model, {row_digest(database, row)[:12]}" in result.out
    found = json.loads(lihop("show", "licoo2.cif", "--why", "--json").out)
    assert (found["model"]["same"], found["agrees"]) == (False, False)
    assert found["model"]["digest"] == load(other).digest != found["stored"]["model_digest"]


def row_digest(database, row):
    return next(
        hop["model_digest"]
        for hop in queries.hops_of(database, row["structure_hash"])
        if hop["model_digest"] is not None
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["licoo2.cif", "--why", "--network"], "--network and --why"),
        (["licoo2.cif", "--why", "--svg", "a.svg"], "--svg and --why"),
        (["licoo2.cif", "--why", "--export", "a.json"], "--export and --why"),
        (["licoo2.cif", "--why", "--hop", "99"], "--hop 99"),
        (["walled.cif", "--why"], "does not percolate"),
        (["walled.cif", "--why", "--hop", "1"], "no predicted barrier"),
        (["nothing", "--why"], "no material is called"),
    ],
)
def test_what_cannot_be_explained_is_one_message(lihop, database, arguments, said):
    result = lihop("show", *arguments)
    assert result.code == 2
    assert result.is_one_message
    assert said in result.err
