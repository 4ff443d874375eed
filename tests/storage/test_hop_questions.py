"""What analysts ask of hops: which limits, what each method says, where they differ, how often ions hop."""

import json
import math

import pytest

from storage import queries

BOLTZMANN_EV_K = 1.380649e-23 / 1.602176634e-19  # both exact in the SI


def _select(db, statement):
    return list(queries.sql(db, statement).rows)


def _layered(make, name="a/b~c.cif", **changes):
    """Return a material whose first hop opens one dimension and whose second opens the second."""
    one, two = (f"{name}_0_{j}_0_1_0" for j in (1, 2))
    levels = {
        "percolation_dim": 2, "barrier_at_dim_ev": 0.5, "lower_ev": 0.4, "upper_ev": 0.7,
        "barrier_1d_ev": 0.3, "lower_1d_ev": 0.2, "upper_1d_ev": 0.4,
        "barrier_2d_ev": 0.5, "lower_2d_ev": 0.4, "upper_2d_ev": 0.7,
        "limiting_edge_1d": one, "limiting_edge_2d": two,
        "bottlenecks_json": json.dumps({"1": {one: 1.0}, "2": {one: 0.25, two: 0.75}}),
    }  # fmt: skip
    return [
        make.candidate(name), make.run_material(name=name), make.percolation(name, **(levels | changes)),
        make.hop(name, 1, d_min_ang=2.0), make.hop(name, 2, d_min_ang=1.7), make.hop(name, 3),
        make.prediction(name, 1, 0.3), make.prediction(name, 2, 0.45, in_domain=False, domain_distance=1.5),
        make.prediction(name, 3, 0.9, in_domain=False, domain_distance=1.2),
    ]  # fmt: skip


def test_the_rate_limiting_hop_of_each_dimension(publish, make):
    db = publish([make.run(), *_layered(make), *make.material("apart", None, "r1")])
    found = _select(
        db,
        "SELECT dimension, at_percolation_dim, edge_id, barrier_ev, lower_ev, upper_ev, hop_barrier_ev, "
        "bottleneck_fraction, distance_ang, d_min_ang, in_domain, method "
        "FROM rate_limiting_hops WHERE material_id = 'a/b~c.cif'",
    )
    assert found == [
        (1, False, "a/b~c.cif_0_1_0_1_0", 0.3, 0.2, 0.4, 0.3, 1.0, 3.1, 2.0, True, "cnn"),
        (2, True, "a/b~c.cif_0_2_0_1_0", 0.5, 0.4, 0.7, 0.45, 0.75, 3.2, 1.7, False, "cnn"),
    ]


def test_the_limiting_hop_is_that_of_the_newest_result(publish, make):
    db = publish(
        [
            make.run("r1", day=0), *make.material("m1", 0.3), make.run("r2", day=1),
            make.percolation("m1", 0.9, stage_key="percolation-2", limiting_edge_1d="m1_0_2_0_1_0"),
            make.prediction("m1", 2, 0.8, stage_key="prediction-2"),
            make.run_material("r2", "m1", percolation_stage_key="percolation-2",
                              prediction_stage_key="prediction-2"),
        ]
    )  # fmt: skip
    columns = "edge_id, barrier_ev, hop_barrier_ev, bottleneck_fraction, run_id"
    assert _select(db, f"SELECT {columns} FROM rate_limiting_hops") == [
        ("m1_0_2_0_1_0", 0.9, 0.8, None, "r2")
    ]


@pytest.fixture
def several_methods(publish, make):
    """Return a database where one material was predicted twice and refined in part."""
    return publish(
        [
            make.run("r1", day=0), *make.material("m1", 0.3), make.hop("m1", 3),
            make.run("r2", day=1),
            make.prediction("m1", 1, 0.55, stage_key="prediction-2", model_digest="model-b"),
            make.prediction("m1", 2, 0.6, stage_key="prediction-2", model_digest="model-b"),
            make.run_material("r2", "m1", prediction_stage_key="prediction-2",
                              percolation_stage_key="percolation-m1"),
            make.refinement("m1", 1, 0.1, barrier_forward_ev=0.1, barrier_reverse_ev=0.15),
            make.refinement("m1", 2, 0.7, converged=False, residual_force_ev_ang=0.3),
            make.candidate("m2"), make.hop("m2", 1), make.prediction("m2", 1, 0.2),
        ]
    )  # fmt: skip


def test_every_method_of_every_hop(several_methods):
    found = _select(
        several_methods,
        "SELECT edge_id, method, model_digest, barrier_ev, upper_ev, converged, is_newest, is_best "
        "FROM hop_methods WHERE material_id = 'm1'",
    )
    one, two, three = (f"m1_0_{j}_0_1_0" for j in (1, 2, 3))
    assert found == [
        (one, "chgnet-neb", None, 0.1, None, True, None, True),
        (one, "cnn", "model-b", 0.55, 1.1, None, True, False),
        (one, "cnn", "model-a", 0.2, 0.4, None, False, False),
        (two, "cnn", "model-b", 0.6, 1.2, None, True, True),
        (two, "chgnet-neb", None, 0.7, None, False, None, False),
        (two, "cnn", "model-a", 0.9, 1.8, None, False, False),
        (three, None, None, None, None, None, None, False),
    ]


def test_the_best_method_is_what_hop_barriers_shows(several_methods):
    columns = "structure_hash, edge_id, method, model_digest, barrier_ev"
    best = _select(several_methods, f"SELECT {columns} FROM hop_methods WHERE is_best ORDER BY ALL")
    shown = f"SELECT {columns} FROM hop_barriers WHERE barrier_ev IS NOT NULL ORDER BY ALL"
    assert best == _select(several_methods, shown)
    assert len(best) == 2


def test_methods_that_disagree_the_most_come_first(several_methods):
    found = _select(
        several_methods,
        "SELECT edge_id, round(difference_ev, 6), round(ratio, 6), coalesce(model_digest_a, method_a), "
        "coalesce(model_digest_b, method_b), barrier_a_ev, barrier_b_ev, b_within_a "
        "FROM method_disagreements",
    )
    one, two = (f"m1_0_{j}_0_1_0" for j in (1, 2))
    assert found == [
        (one, -0.45, 0.181818, "model-b", "chgnet-neb", 0.55, 0.1, False),
        (one, 0.35, 2.75, "model-a", "model-b", 0.2, 0.55, False),
        (two, -0.3, 0.666667, "model-a", "model-b", 0.9, 0.6, True),
        (two, -0.2, 0.777778, "model-a", "chgnet-neb", 0.9, 0.7, True),
        (one, -0.1, 0.5, "model-a", "chgnet-neb", 0.2, 0.1, True),
        (two, 0.1, 1.166667, "model-b", "chgnet-neb", 0.6, 0.7, True),
    ]


def test_one_model_does_not_disagree_with_itself(publish, make):
    db = publish(
        [
            make.run("r1", day=0), *make.material("m1", 0.3), make.run("r2", day=1),
            make.prediction("m1", 1, 0.5, stage_key="prediction-2"),
            make.run_material("r2", "m1", prediction_stage_key="prediction-2"),
            make.refinement("m1", 1, 0.4), make.refinement("m1", 2, 0.9),
        ]
    )  # fmt: skip
    columns = "edge_id, barrier_a_ev, barrier_b_ev"
    # Of the model's two predictions the newest counts; the second hop's is equal to its refinement.
    assert _select(db, f"SELECT {columns} FROM method_disagreements") == [("m1_0_1_0_1_0", 0.5, 0.4)]


def test_predictions_outside_the_domain_the_farthest_first(publish, make):
    db = publish([make.run(), *_layered(make), *make.material("inside")])
    columns = "edge_id, domain_distance, is_rate_limiting, barrier_ev"
    assert _select(db, f"SELECT {columns} FROM outside_domain") == [
        ("a/b~c.cif_0_2_0_1_0", 1.5, True, 0.45),
        ("a/b~c.cif_0_3_0_1_0", 1.2, False, 0.9),
    ]


def test_outside_the_domain_is_not_rate_limiting_where_nothing_is(publish, make):
    apart = {"percolation_dim": 0, "barrier_at_dim_ev": None, "limiting_edge_1d": None}
    db = publish([make.run(), *_layered(make, **apart)])
    assert {row[0] for row in _select(db, "SELECT is_rate_limiting FROM outside_domain")} == {False}


def test_rates_at_room_temperature(publish, make):
    db = publish(
        [
            make.run(), make.candidate(), make.run_material(), make.hop(j=1), make.hop(j=2), make.hop(j=3),
            make.prediction(j=1, barrier_ev=0.3, lower_ev=0.2, upper_ev=0.5),
            make.refinement(j=2, barrier_ev=0.0),
        ]
    )  # fmt: skip
    columns = "edge_id, temperature_k, attempt_frequency_hz, rate_lower_hz, rate_hz, rate_upper_hz"
    found = _select(db, f"SELECT {columns} FROM hop_rates")

    def rate(barrier_ev):
        return pytest.approx(1e13 * math.exp(-barrier_ev / (BOLTZMANN_EV_K * 298.15)), rel=1e-9)

    assert found == [
        ("m1_0_2_0_1_0", 298.15, 1e13, None, 1e13, None),
        ("m1_0_1_0_1_0", 298.15, 1e13, rate(0.5), rate(0.3), rate(0.2)),
    ]
    # Known by heart: 0.3 eV at room temperature is about 85 million hops a second.
    assert found[1][4] == pytest.approx(8.5e7, rel=0.01)


def test_diffusivity_along_the_percolating_dimensions(publish, make):
    db = publish([make.run(), *_layered(make)])
    found = _select(
        db,
        "SELECT material_id, dimension, distance_ang, barrier_ev, correlation_factor, vacancy_fraction, "
        "diffusivity_lower_cm2_s, diffusivity_cm2_s, diffusivity_upper_cm2_s FROM diffusivities",
    )

    def diffusivity(barrier_ev):
        rate_hz = 1e13 * math.exp(-barrier_ev / (BOLTZMANN_EV_K * 298.15))
        return pytest.approx((3.2e-8) ** 2 * rate_hz / (2 * 2), rel=1e-9)

    wanted = (diffusivity(0.7), diffusivity(0.5), diffusivity(0.4))
    assert found == [("a/b~c.cif", 2, 3.2, 0.5, 1.0, 1.0, *wanted)]
