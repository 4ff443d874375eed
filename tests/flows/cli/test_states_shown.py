"""What people see of the state of charge, of merged materials and of ordered ones."""

from __future__ import annotations

import json

import pytest

from storage import queries
from tests.campaigns import GOOD, Bench, write_bad, write_cif, write_good

LAYERED = "licoo2.cif"


@pytest.fixture
def bench(tmp_path, checkpoint):
    return Bench(tmp_path, checkpoint)


@pytest.mark.slow
def test_rank_and_show_tell_the_state(bench, lihop):
    write_good(bench.folder, (LAYERED,))
    bench.screen(state="both")
    db = ["--db", str(bench.database)]
    ranked = json.loads(lihop("rank", "--json", *db).out)
    assert {row["state"] for row in ranked} == {"discharged", "charged"}
    assert "charged" in lihop("rank", *db).out
    cards = json.loads(lihop("show", LAYERED, "--json", *db).out)
    assert [card["material"]["state"] for card in cards] == [row["state"] for row in ranked]
    text = lihop("show", LAYERED, "--state", "charged", *db).out
    assert "charged: a single Li in the host" in text
    hops = {
        state: json.loads(lihop("show", LAYERED, "--hop", "1", "--json", *given, *db).out)
        for state, given in {
            None: [],
            "discharged": ["--state", "discharged"],
            "charged": ["--state", "charged"],
        }.items()
    }
    assert hops[None] == hops["discharged"]
    assert hops["charged"]["state"] == "charged"
    near = [{atom["element"] for atom in point["cations"]} for point in hops["charged"]["path"]["points"]]
    assert "Li" not in set().union(*near)
    assert any("Li" in {atom["element"] for atom in point["cations"]}
               for point in hops["discharged"]["path"]["points"])  # fmt: skip
    for state in hops:
        given = [] if state is None else ["--state", state]
        why = json.loads(lihop("show", LAYERED, "--why", "--hop", "1", "--json", *given, *db).out)
        # Described again, the hop has the barrier that the screening gave it: it is the same host.
        assert why["agrees"] is True, state


def test_a_state_that_was_not_screened_is_named(bench, lihop):
    write_good(bench.folder, ("lif.cif",))
    bench.screen()
    db = ["--db", str(bench.database)]
    refused = lihop("show", "lif.cif", "--state", "charged", *db)
    assert refused.code == 2
    assert refused.is_one_message
    assert "was screened discharged" in refused.err
    assert "state" not in lihop("rank", *db).out.splitlines()[1]


def test_ids_of_merged_materials_are_kept_and_found(bench, lihop):
    for name in ("a.cif", "b.cif", "c, d.cif"):
        write_cif(GOOD["lif.cif"], bench.folder / name)
    bench.screen(state="both")
    ranked = queries.rankings(bench.database)
    assert {(row["material_id"], row["state"]) for row in ranked} == {
        ("a.cif", "discharged"),
        ("a.cif", "charged"),
    }
    assert {tuple(row["other_ids"]) for row in ranked} == {("b.cif", "c, d.cif")}
    db = ["--db", str(bench.database)]
    assert "also called b.cif, c, d.cif" in lihop("show", "c, d.cif", *db).out
    before = bench.tables()["candidates"]
    bench.screen(state="both")
    assert [row | {"last_seen_at": None} for row in bench.tables()["candidates"]] == [
        row | {"last_seen_at": None} for row in before
    ]


def test_an_ordered_structure_says_so_in_its_row(bench, lihop):
    write_bad(bench.folder)
    for path in bench.folder.iterdir():
        if path.name != "partly.cif":
            path.unlink()
    summary = bench.screen(order_disorder=False)
    assert summary.failures == {"partial_occupancy": 1}
    bench.screen(order_disorder=True)
    (row,) = queries.rankings(bench.database)
    assert "lowest Ewald energy" in row["ordering"]
    assert "ordered from a disordered structure" in row["flags"]
    assert (
        "was disordered: lowest Ewald energy" in lihop("show", "partly.cif", "--db", str(bench.database)).out
    )
