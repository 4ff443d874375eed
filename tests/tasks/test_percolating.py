"""Percolation rows from hops and predictions made by hand, against what can be worked out in the head."""

from __future__ import annotations

import json
import math

import pytest

from storage.records import Hop, Prediction, Reason, Stage
from tasks import percolating
from tasks.percolating import NORMAL_90, Residuals, percolate_all
from tasks.stage_keys import PercolationSettings
from tests.campaigns import layered, rock_salt

SETTINGS = PercolationSettings()
NO_RESIDUALS = Residuals(0.0, 0.0)
ALONG = {"a": (1, 0, 0), "b": (0, 1, 0), "c": (0, 0, 1)}


def hop(candidate, axis, *, blocked_by=None, distance_ang=3.0):
    ox, oy, oz = ALONG[axis]
    return Hop(
        structure_hash=candidate.structure_hash, working_ion="Li", material_id=candidate.material_id,
        edge_id=f"{candidate.material_id}_{axis}", i=0, j=0, ox=ox, oy=oy, oz=oz, distance_ang=distance_ang,
        multiplicity=1, orbit=[[0, 0, ox, oy, oz]], direction_symmetric=True, blocked_by=blocked_by,
        stage_key="hops",
    )  # fmt: skip


def prediction(of, barrier_ev, *, members=None, in_domain=True):
    return Prediction(
        structure_hash=of.structure_hash, working_ion="Li", i=of.i, j=of.j, ox=of.ox, oy=of.oy, oz=of.oz,
        edge_id=of.edge_id, method="cnn", model_digest="model", barrier_ev=barrier_ev, log_spread=0.1,
        member_barriers_ev=[barrier_ev] if members is None else members, lower_ev=0.5 * barrier_ev,
        upper_ev=2 * barrier_ev, in_domain=in_domain, domain_distance=0.5,
        stage_key=f"predicted {of.structure_hash}",
    )  # fmt: skip


@pytest.fixture
def salt(candidate_of):
    return candidate_of(rock_salt("Li", "F", 4.03), "salt")


def one(candidate, barriers_ev, residuals=NO_RESIDUALS, **kwargs):
    hops = [hop(candidate, axis) for axis in barriers_ev]
    rows = [prediction(each, barriers_ev[each.edge_id[-1]], **kwargs) for each in hops]
    done = percolate_all([candidate], hops, rows, SETTINGS, residuals)
    assert done.failures == []
    (row,) = done.rows
    return row


def test_each_dimension_takes_the_next_hop(salt):
    row = one(salt, {"a": 0.3, "b": 0.5, "c": 0.9})
    assert (row.barrier_1d_ev, row.barrier_2d_ev, row.barrier_3d_ev) == (0.3, 0.5, 0.9)
    assert (row.limiting_edge_1d, row.limiting_edge_2d, row.limiting_edge_3d) == (
        "salt_a",
        "salt_b",
        "salt_c",
    )
    # The third dimension lies 0.6 eV above the first, outside the window of 0.3 eV.
    assert (row.percolation_dim, row.barrier_at_dim_ev) == (2, 0.5)
    assert row.directions_1d in ([[1, 0, 0]], [[-1, 0, 0]])
    assert len(row.directions_2d) == 2
    assert row.n_hops == 3


def test_a_barrier_at_the_edge_of_the_window_counts(salt):
    assert one(salt, {"a": 0.3, "b": 0.6, "c": 0.6}).percolation_dim == 3
    assert one(salt, {"a": 0.3, "b": 0.61, "c": 0.61}).percolation_dim == 1


def test_without_residuals_the_interval_is_the_members(salt):
    row = one(salt, {"a": 0.4}, members=[0.3, 0.5])
    assert (row.lower_ev, row.upper_ev) == (pytest.approx(0.3), pytest.approx(0.5))
    assert row.percolation_dim == 1
    assert row.barrier_2d_ev is row.lower_2d_ev is row.directions_2d is None


def test_the_residuals_widen_the_interval(salt):
    narrow = one(salt, {"a": 0.4}, Residuals(0.1, 0.0))
    wide = one(salt, {"a": 0.4}, Residuals(0.1, 0.5))
    assert wide.lower_ev < narrow.lower_ev < 0.4 < narrow.upper_ev < wide.upper_ev
    # Two normal residuals of log-barrier add up in square; 1.645 is the normal's 95th percentile.
    spread = math.log(wide.upper_ev / wide.lower_ev) / 2
    assert spread == pytest.approx(1.645 * math.hypot(0.1, 0.5), rel=0.15)


@pytest.mark.parametrize("factor", [1.3, 2.0, 4.0])
def test_one_hops_interval_is_that_of_its_material(salt, factor):
    only = hop(salt, "a")
    # Two members of the same answer, so that all of the interval is left to the residuals.
    row = prediction(only, 0.4, members=[0.4, 0.4]).model_copy(
        update={"lower_ev": 0.4 / factor, "upper_ev": 0.4 * factor, "log_spread": 0.0}
    )
    residuals = Residuals(0.3, 0.4, follow_intervals=True)
    (found,) = percolate_all([salt], [only], [row], SETTINGS, residuals).rows
    assert math.log(found.upper_ev / found.lower_ev) / 2 == pytest.approx(math.log(factor), rel=0.15)
    own, shared = residuals.of([row, None])
    assert own[0] / shared[0] == pytest.approx(0.75)
    assert math.hypot(own[0], shared[0]) == pytest.approx(math.log(factor) / NORMAL_90)
    assert (own[1], shared[1]) == (0, 0)


def test_the_spread_of_the_members_is_not_counted_twice(salt):
    row = prediction(hop(salt, "a"), 0.4).model_copy(update={"log_spread": 0.3})
    own, shared = Residuals(0.1, 0.1, follow_intervals=True).of([row])
    total = math.sqrt(own[0] ** 2 + shared[0] ** 2 + 0.3**2)
    assert total == pytest.approx(math.log(2) / NORMAL_90)
    wide = row.model_copy(update={"log_spread": 5.0})
    assert [float(part[0]) for part in Residuals(0.1, 0.1, follow_intervals=True).of([wide])] == [0, 0]


def test_the_same_seed_draws_the_same(salt):
    again = [one(salt, {"a": 0.4, "b": 0.5}, Residuals(0.2, 0.2)) for _ in range(2)]
    assert again[0] == again[1]


def test_how_often_each_hop_decides_is_kept(salt):
    hops = [hop(salt, "a"), hop(salt, "b")]
    # Each member is drawn as often as the other, and they disagree on which hop is the higher one.
    rows = [prediction(hops[0], 0.4, members=[0.3, 0.5]), prediction(hops[1], 0.41, members=[0.4, 0.4])]
    (row,) = percolate_all([salt], hops, rows, SETTINGS, NO_RESIDUALS).rows
    found = json.loads(row.bottlenecks_json)
    assert list(found) == ["1", "2"]
    for dim in ("1", "2"):
        assert set(found[dim]) == {"salt_a", "salt_b"}
        assert sum(found[dim].values()) == pytest.approx(1.0)
        assert list(found[dim].values()) == sorted(found[dim].values(), reverse=True)
        assert found[dim]["salt_a"] == pytest.approx(0.5, abs=0.12)
    # With two hops, what opens the first dimension does not open the second.
    assert found["1"]["salt_a"] == pytest.approx(found["2"]["salt_b"])
    assert json.loads(row.dims_json) == {"2": 1.0}


def test_the_share_of_each_dimension_is_kept(salt):
    row = one(salt, {"a": 0.3, "b": 0.6}, Residuals(0.2, 0.0))
    found = json.loads(row.dims_json)
    assert set(found) == {"1", "2"}
    assert sum(found.values()) == pytest.approx(1.0)


def test_a_blocked_hop_carries_nothing_and_is_counted(salt):
    hops = [hop(salt, "a"), hop(salt, "b", blocked_by="host_atom", distance_ang=3.5)]
    done = percolate_all([salt], hops, [prediction(hops[0], 0.4)], SETTINGS, NO_RESIDUALS)
    (row,) = done.rows
    assert (row.percolation_dim, row.n_hops, row.cutoff_ang) == (1, 2, 3.5)
    assert row.barrier_2d_ev is None


def test_the_domain_is_that_of_the_deciding_hop(salt):
    hops = [hop(salt, "a"), hop(salt, "b")]
    for flags, expected in (((True, False), False), ((False, True), True)):
        rows = [
            prediction(each, barrier, in_domain=flag)
            for each, barrier, flag in zip(hops, (0.3, 0.5), flags, strict=True)
        ]
        (row,) = percolate_all([salt], hops, rows, SETTINGS, NO_RESIDUALS).rows
        assert row.limiting_edge_2d == "salt_b"
        assert row.in_domain is expected


def test_what_does_not_percolate_is_a_row_with_dimension_0(candidate_of):
    candidate = candidate_of(layered(), "pair")
    ring = hop(candidate, "a").model_copy(update={"j": 1, "ox": 0, "orbit": [[0, 1, 0, 0, 0]]})
    (row,) = percolate_all([candidate], [ring], [prediction(ring, 0.4)], SETTINGS, NO_RESIDUALS).rows
    assert (row.percolation_dim, row.barrier_at_dim_ev, row.direction_conventional) == (0, None, None)
    assert row.lower_ev is row.upper_ev is row.in_domain is None
    assert (json.loads(row.bottlenecks_json), json.loads(row.dims_json)) == ({}, {"0": 1.0})


def test_each_material_has_its_own_hops_and_no_other_s_failure(candidate_of, salt, monkeypatch):
    other = candidate_of(layered(), "other")
    hops = [hop(salt, "a"), hop(other, "b")]
    rows = [prediction(hops[0], 0.3), prediction(hops[1], 0.7)]
    both = percolate_all([salt, other], hops[::-1], rows, SETTINGS, NO_RESIDUALS)
    assert {row.structure_hash: row.barrier_1d_ev for row in both.rows} == {
        salt.structure_hash: 0.3,
        other.structure_hash: 0.7,
    }
    real = percolating.percolation_row

    def fail(candidate, *rest):
        if candidate is salt:
            raise ArithmeticError("no luck")
        return real(candidate, *rest)

    monkeypatch.setattr(percolating, "percolation_row", fail)
    done = percolate_all([salt, other], hops, rows, SETTINGS, NO_RESIDUALS)
    assert [row.structure_hash for row in done.rows] == [other.structure_hash]
    (failure,) = done.failures
    assert (failure.material_id, failure.reason, failure.stage) == (
        "salt",
        Reason.UNEXPECTED,
        Stage.PERCOLATION,
    )
    assert [row.n_rows for row in done.results] == [0, 1]
    assert failure.stage_key == done.results[0].stage_key


def test_a_candidate_without_predictions_is_left_to_the_stage_before(salt):
    done = percolate_all([salt], [hop(salt, "a", blocked_by="host_atom")], [], SETTINGS, NO_RESIDUALS)
    assert (done.rows, done.failures, done.results) == ([], [], [])


def test_direction_in_the_conventional_cell(candidate_of):
    candidate = candidate_of(layered(), "licoo2")
    row = one(candidate, {"a": 0.4, "b": 0.4})
    assert row.percolation_dim == 2
    assert row.direction_conventional is not None


def two_sites(candidate, difference_ev, **changes):
    """Hops between Li 0 and Li 1 of a crystal, along a chain, and what the BVSE says of their ends."""
    along = hop(candidate, "a").model_copy(update={"i": 0, "j": 1, "ox": 0, "orbit": [[0, 1, 0, 0, 0]]})
    back = along.model_copy(
        update={"ox": -1, "edge_id": f"{candidate.material_id}_back", "orbit": [[0, 1, -1, 0, 0]]}
    )
    known = {"bvse_site_energy_difference_ev": difference_ev} | changes
    return [along.model_copy(update=known), back]


@pytest.fixture
def tilted(candidate_of):
    """Two Li that are not equivalent, one of them displaced."""
    crystal = rock_salt("Li", "F", 4.03)
    crystal.translate_sites([1], [0.05, 0.02, 0.01])
    return candidate_of(crystal, "tilted")


def test_the_site_energy_difference_is_that_of_the_percolating_component(tilted):
    for difference_ev in (0.25, -0.25):
        hops = two_sites(tilted, difference_ev)
        rows = [prediction(each, 0.4) for each in hops]
        (row,) = percolate_all([tilted], hops, rows, SETTINGS, NO_RESIDUALS).rows
        assert row.site_energy_difference_ev == pytest.approx(0.25)
        # The barrier is the model's: the BVSE's site energies are no part of it.
        assert (row.barrier_1d_ev, row.site_energies) == (0.4, "unknown")


def test_an_unknown_site_energy_difference_is_null(tilted):
    for hops in (two_sites(tilted, None), two_sites(tilted, 0.25, blocked_by="host_atom")):
        rows = [prediction(each, 0.4) for each in hops]
        (row,) = percolate_all([tilted], hops, rows, SETTINGS, NO_RESIDUALS).rows
        assert row.percolation_dim == 1
        assert row.site_energy_difference_ev is None


def test_equivalent_sites_differ_by_nothing(salt):
    assert one(salt, {"a": 0.3}).site_energy_difference_ev == 0.0


def test_convergence_is_that_of_the_deciding_hop(salt):
    for flags, expected in (((True, False), False), ((False, True), True), ((True, None), None)):
        hops = [
            hop(salt, axis).model_copy(update={"path_converged": flag})
            for axis, flag in zip("ab", flags, strict=True)
        ]
        rows = [prediction(each, barrier) for each, barrier in zip(hops, (0.3, 0.5), strict=True)]
        (row,) = percolate_all([salt], hops, rows, SETTINGS, NO_RESIDUALS).rows
        assert row.limiting_edge_2d == "salt_b"
        assert row.path_converged is expected


def test_divacancy_hops_carry_nothing(salt):
    isolated = hop(salt, "a")
    pair = isolated.model_copy(
        update={
            "vacancy": "0_0_1_0", "mechanism": "divacancy", "edge_id": "salt_a_v0_0_1_0",
            "orbit_also_vacant": [[0, 0, 1, 0]],
        }
    )  # fmt: skip
    lone = hop(salt, "b").model_copy(update={"vacancy": "0_1_0_0", "mechanism": "divacancy"})
    hops = [pair, isolated, lone]
    rows = [prediction(each, barrier) for each, barrier in zip(hops, (0.1, 0.4, 0.2), strict=True)]
    rows = [row.model_copy(update={"vacancy": of.vacancy}) for row, of in zip(rows, hops, strict=True)]
    (row,) = percolate_all([salt], hops, rows, SETTINGS, NO_RESIDUALS).rows
    assert (row.barrier_1d_ev, row.limiting_edge_1d, row.barrier_2d_ev) == (0.4, "salt_a", None)
    assert row.n_hops == 1
    # A material with nothing but divacancy hops has no percolation to speak of.
    assert percolate_all([salt], [lone], rows[2:], SETTINGS, NO_RESIDUALS).rows == []


def empty_hop(candidate, i, j, image, difference_ev=None):
    """A hop of rock salt whose site 2 is empty."""
    ox, oy, oz = image
    name = f"{candidate.material_id}_{i}_{j}_{ox}_{oy}_{oz}"
    return hop(candidate, "a").model_copy(
        update={
            "i": i, "j": j, "ox": ox, "oy": oy, "oz": oz, "edge_id": name,
            "orbit": [[i, j, ox, oy, oz]], "bvse_site_energy_difference_ev": difference_ev,
        }
    )  # fmt: skip


def test_ions_must_be_lifted_to_empty_sites_before_they_run_along_them(salt):
    """Sites 0 hold ions; the chain of empty sites lies 1 eV higher and has lower barriers of its own."""
    direct = hop(salt, "a")
    up = empty_hop(salt, 0, 2, (0, 0, 0), difference_ev=1.0)
    along = empty_hop(salt, 2, 2, (1, 0, 0), difference_ev=0.0)
    barriers = {direct.edge_id: 0.9, up.edge_id: 1.1, along.edge_id: 0.2}

    def level(*hops):
        rows = [prediction(each, barriers[each.edge_id]) for each in hops]
        done = percolate_all([salt], list(hops), rows, SETTINGS, NO_RESIDUALS)
        assert done.failures == []
        return done.rows[0]

    assert level(direct, up, along).barrier_1d_ev == pytest.approx(0.9)
    # Without the direct hop: up to 1.0, along the chain over 1.0 + 0.2, and up over 1.1 is part of the way.
    lifted = level(up, along)
    assert lifted.barrier_1d_ev == pytest.approx(1.2)
    assert lifted.limiting_edge_1d == along.edge_id
    assert lifted.site_energies == "known"
    assert lifted.lower_1d_ev == pytest.approx(1.2)


def test_empty_sites_that_no_ion_gets_to_carry_nothing(salt):
    direct, along = hop(salt, "a"), empty_hop(salt, 2, 2, (0, 1, 0), difference_ev=0.0)
    rows = [prediction(direct, 0.9), prediction(along, 0.2)]
    row = percolate_all([salt], [direct, along], rows, SETTINGS, NO_RESIDUALS).rows[0]
    assert row.barrier_1d_ev == pytest.approx(0.9)
    assert row.barrier_2d_ev is None
