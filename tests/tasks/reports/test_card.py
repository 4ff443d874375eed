"""A material's card."""

from __future__ import annotations

import json

from tasks.reports.card import bottleneck, headline, interval, number, sites

ROW = {
    "formula": "LiFePO4", "name": "triphylite", "material_id": "m1", "space_group_symbol": "Pnma",
    "space_group_number": 62, "n_sites": 28, "capacity_mah_g": 169.9, "average_voltage_v": None,
    "barrier_at_dim_ev": 0.31, "lower_ev": 0.2, "upper_ev": 0.5, "percolation_dim": 1,
    "direction_conventional": "[010]", "flags": None, "method": "cnn", "model_digest": "0123456789abcdef",
    "site_energies": "unknown", "reason": None, "reason_message": None,
    "working_ion": "Li", "state": "discharged", "other_ids": None, "ordering": None,
}  # fmt: skip
COLUMNS = ("barrier_{}d_ev", "lower_{}d_ev", "upper_{}d_ev", "limiting_edge_{}d")
PERCOLATION = {name.format(dim): None for dim in (1, 2, 3) for name in COLUMNS}


def test_numbers():
    assert (number(None), number(0.0), number(1.23456, 1)) == ("-", "0.000", "1.2")
    assert (number(-0.0004), number(-0.0006)) == ("0.000", "-0.001")
    assert interval({"b": 0.3, "l": None, "u": 0.5}, "b", "l", "u") == "0.300 eV (90%: - to 0.500)"


def test_the_headline_of_a_result():
    levels = {
        "barrier_1d_ev": 0.31,
        "lower_1d_ev": 0.2,
        "upper_1d_ev": 0.5,
        "limiting_edge_1d": "m1_0_1_0_0_0",
        "bottlenecks_json": json.dumps({"1": {"m1_0_1_0_0_0": 0.9, "m1_0_2_0_0_0": 0.1}}),
    }
    lines = headline({"material": ROW, "percolation": PERCOLATION | levels})
    text = "\n".join(lines)
    assert lines[0] == "LiFePO4 (triphylite)  m1"
    assert "Pnma (62), 28 sites" in text
    assert "170 mAh/g, - V" in text
    assert "percolates in 1-D along [010] over 0.310 eV (90%: 0.200 to 0.500)" in text
    assert "1-D: 0.310 eV (90%: 0.200 to 0.500), limited by m1_0_1_0_0_0 (in 90% of draws)" in text
    assert "2-D" not in text
    assert "caution" not in text
    assert "0123456789ab" in text


def test_a_bottleneck_that_no_draw_shares():
    row = {"limiting_edge_2d": "m_2", "bottlenecks_json": json.dumps({"2": {"m_1": 1.0}})}
    assert bottleneck(row, 2) == "m_2 (in 0% of draws)"
    assert bottleneck(row | {"bottlenecks_json": None}, 2) == "m_2"


def test_a_caution_is_shown():
    row = ROW | {"flags": "outside training domain"}
    assert "  caution: outside training domain" in headline({"material": row, "percolation": None})


def test_without_a_barrier_the_reason_stands():
    row = ROW | {
        "barrier_at_dim_ev": None,
        "reason": "time_limit",
        "reason_message": "took too long",
        "name": None,
    }
    lines = headline({"material": row, "percolation": None})
    assert lines[0] == "LiFePO4  m1"
    assert lines[-1] == "  no percolation barrier: time_limit. took too long"
    bare = headline({"material": row | {"reason_message": None}, "percolation": None})
    assert bare[-1] == "  no percolation barrier: time_limit."


def test_sites_are_those_of_the_working_ion():
    content = [
        {"species": [{"element": element, "occu": 1}], "abc": [0.1 * k, 0.0, 0.5]}
        for k, element in enumerate(["Li", "Fe", "Li"])
    ]
    found = sites(json.dumps({"sites": content}), "Li")
    assert [(row["index"], row["element"]) for row in found] == [(0, "Li"), (2, "Li")]
    assert (found[1]["a"], found[1]["b"], found[1]["c"]) == (0.2, 0.0, 0.5)
    assert sites(None, "Li") == []


def test_state_other_names_and_ordering_are_shown():
    row = ROW | {"state": "charged", "other_ids": ["m2", "m3"], "ordering": "lowest Ewald energy of 2"}
    lines = headline({"material": row, "percolation": PERCOLATION | {"bottlenecks_json": None}})
    assert lines[0] == "LiFePO4 (triphylite)  m1, charged: a single Li in the host"
    assert "  also called m2, m3" in lines
    assert "  was disordered: lowest Ewald energy of 2" in lines
