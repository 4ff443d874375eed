"""The Pareto front is what comparing all with all finds, and unknown is neither better nor worse."""

import random

import pytest

from storage import queries

BETTER = {"barrier_at_dim_ev": -1, "average_voltage_v": 1, "capacity_mah_g": 1, "e_above_hull_ev": -1}


def _rows(make, materials):
    """Return rows of materials that are given as (barrier, voltage, capacity, energy above hull, changes)."""
    rows = [make.run()]
    for name, (barrier, voltage, capacity, hull, changes) in materials.items():
        known = {"average_voltage_v": voltage, "capacity_mah_g": capacity, "e_above_hull_ev": hull}
        rows += [
            make.candidate(name, **known, **changes),
            make.run_material(name=name),
            make.percolation(name, barrier),
        ]
    return rows


def _front(db, columns="material_id"):
    return queries.sql(db, f"SELECT {columns} FROM pareto_front").rows


def _beats(one, other):
    """Tell whether a ranking row is nowhere worse than another one, and somewhere better."""
    gains = [sign * (one[name] - other[name]) for name, sign in BETTER.items() if one[name] is not None]
    return min(gains) >= 0 and max(gains) > 0


def _by_hand(db):
    """Compare every material with every other one."""

    def kind(row):
        return (row["working_ion"], row["state"], tuple(row[name] is None for name in BETTER))

    rows = [row for row in queries.rankings(db) if row["barrier_at_dim_ev"] is not None]
    return {
        row["material_id"]
        for row in rows
        if not any(_beats(other, row) for other in rows if kind(other) == kind(row))
    }


def test_only_what_is_beaten_in_nothing_less_is_left_out(publish, make):
    db = publish(
        _rows(
            make,
            {
                "fast": (0.1, 3.0, 150.0, 0.02, {}),
                "fast-too": (0.1, 3.0, 150.0, 0.02, {}),
                "worse-in-one": (0.1, 3.0, 150.0, 0.03, {}),
                "worse-in-all": (0.5, 2.5, 100.0, 0.10, {}),
                "high-voltage": (0.6, 4.5, 100.0, 0.10, {}),
                "no-barrier": (None, 5.0, 300.0, 0.00, {}),
            },
        )
    )
    assert _front(db, "material_id, knows, n_known") == (
        ("fast", "barrier, voltage, capacity, hull", 4),
        ("fast-too", "barrier, voltage, capacity, hull", 4),
        ("high-voltage", "barrier, voltage, capacity, hull", 4),
    )


def test_unknown_is_neither_better_nor_worse(publish, make):
    db = publish(
        _rows(
            make,
            {
                "best-of-all": (0.1, 5.0, 300.0, 0.0, {}),
                "no-hull": (0.4, 3.0, 100.0, None, {}),
                "no-hull-worse": (0.5, 3.0, 100.0, None, {}),
                "no-voltage": (0.4, None, 100.0, 0.0, {}),
                "barrier-alone": (0.7, None, None, None, {}),
                "barrier-alone-worse": (0.8, None, None, None, {}),
            },
        )
    )
    assert _front(db, "material_id, knows, n_known") == (
        ("best-of-all", "barrier, voltage, capacity, hull", 4),
        ("no-voltage", "barrier, capacity, hull", 3),
        ("no-hull", "barrier, voltage, capacity", 3),
        ("barrier-alone", "barrier", 1),
    )


def test_each_state_has_its_own_front(publish, make):
    db = publish(
        _rows(
            make,
            {
                "full": (0.5, 3.0, 100.0, 0.0, {}),
                "empty": (0.1, 3.0, 100.0, 0.0, {"state": "charged"}),
            },
        )
    )
    assert _front(db, "material_id, state") == (("empty", "charged"), ("full", "discharged"))


@pytest.mark.parametrize("trade_off", [False, True])
def test_the_front_is_that_of_comparing_all_with_all(publish, make, trade_off):
    """More materials than are held against the rest first; coarse values, so that many are equal."""
    drawn = random.Random(7)

    def material():
        shares = [drawn.random() for _ in BETTER]
        total = sum(shares) if trade_off else 1.0
        barrier, voltage, capacity, hull = (round(share / total, 2 if trade_off else 1) for share in shares)
        unknown = drawn.random()
        return (
            0.1 + barrier,
            None if unknown < 0.1 else 5 - voltage,
            300 - 100 * capacity,
            None if unknown > 0.8 else hull,
            {"state": drawn.choice(["charged", "discharged"])},
        )

    db = publish(_rows(make, {f"m{number}": material() for number in range(700)}))
    expected = _by_hand(db)
    assert {row[0] for row in _front(db)} == expected
    assert len(expected) > (100 if trade_off else 10)
