"""Predictors refitted without a fold: what they have seen, how folds come together, nested intervals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.arrays import host_folds
from models.baselines import EXTRA_TREES, MEDIAN, predict_trees
from models.calibration import calibrate
from models.crossval import out_of_fold
from models.domain import fit_domain
from models.errors import InputError
from models.refits import (
    AS_SHIPPED,
    OutOfFold,
    assemble,
    nested_predictions,
    network_alone,
    refits,
    run_refit,
)
from models.standardise import fit_standardiser
from models.training import train_ensemble

GROUPS = ("local", "topology")


@pytest.fixture(scope="module")
def quick(tiny):
    return tiny.model_copy(update={"groups": GROUPS, "epochs": 1})


@pytest.fixture(scope="module")
def folds(rows):
    return host_folds(rows.hosts, 3, 0)


def done(name, rows, folds, settings, **given):
    return [run_refit(job) for job in refits(name, rows, folds, settings, members=2, **given)]


def test_a_network_is_that_of_cross_validation_in_whatever_order(rows, quick, folds):
    found = done("anything", rows, folds, quick)
    expected = out_of_fold(rows, quick, folds, 2)
    for parts in (found, found[::-1]):
        assembled = assemble(len(rows), parts)["anything"]
        np.testing.assert_array_equal(assembled.member_log_barriers, expected)
    assert assembled.barrier_ev == pytest.approx(np.exp(expected.mean(axis=1)))
    assert assembled.seconds == pytest.approx(sum(part.seconds for part in found))


def test_a_single_fold_takes_the_seeds_of_a_checkpoint(rows, quick):
    folds = np.where(np.arange(len(rows)) < 90, 0, AS_SHIPPED)
    (part,) = done("cnn", rows, folds, quick, held_out=[AS_SHIPPED])
    shipped = train_ensemble(rows.take(range(90)), quick, quick.member_seeds())
    test = rows.only(GROUPS).take(range(90, len(rows)))
    np.testing.assert_array_equal(part.member_log_barriers, shipped.member_log_barriers(test.inputs))
    assembled = assemble(len(rows), [part])["cnn"]
    assert np.isnan(assembled.member_log_barriers[:90]).all()


def test_trees_are_given_the_groups_of_the_network(rows, quick, folds):
    found = assemble(len(rows), done(EXTRA_TREES, rows, folds, quick))[EXTRA_TREES]
    some = rows.only(GROUPS)
    for fold in range(3):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        expected = predict_trees(some.take(rest), some.take(held).inputs, seed=quick.seed)
        assert found.barrier_ev[held] == pytest.approx(expected)


def test_a_baseline_that_the_descriptors_do_not_allow_has_no_refits(rows, quick, folds):
    assert refits("affine_bvse", rows, folds, quick, members=1) == []
    found = assemble(len(rows), done(MEDIAN, rows, folds, quick))[MEDIAN]
    assert found.barrier_ev[folds == 1] == pytest.approx(np.median(rows.barrier_ev[folds != 1]))


@pytest.mark.parametrize("name", ["cnn", EXTRA_TREES, MEDIAN])
def test_a_held_out_barrier_changes_no_prediction_of_its_own(rows, quick, folds, name):
    job = refits(name, rows, folds, quick, members=1)[1]
    found = run_refit(job)
    changed = rows.barrier_ev.copy()
    changed[found.held_out] *= 7
    other = dataclasses.replace(job, rows=dataclasses.replace(rows, barrier_ev=changed))
    np.testing.assert_array_equal(run_refit(other).member_log_barriers, found.member_log_barriers)


def test_the_domain_is_fitted_without_the_fold(rows, quick, folds):
    part = done(MEDIAN, rows, folds, quick)[2]
    some = rows.only(GROUPS)
    rest = some.take(np.flatnonzero(folds != 2))
    scale = fit_standardiser(rest, quick.clip)
    domain = fit_domain(scale.z_scores(rest.inputs), rest.hosts, quick.neighbours)
    held = some.take(np.flatnonzero(folds == 2))
    assert part.domain_distance == pytest.approx(domain.distance(scale.z_scores(held.inputs)))


class TestNested:
    @pytest.fixture
    def found(self, rows):
        rng = np.random.default_rng(0)
        members = rows.log_barrier()[:, None] + rng.normal(size=(len(rows), 3)) * rng.uniform(0.1, 0.6, 3)
        return OutOfFold(members, np.linspace(0, 1.2, len(rows)), 1.0)

    def test_each_fold_is_calibrated_on_the_others(self, rows, folds, found):
        predictions = nested_predictions(rows, found, folds)
        for fold in range(3):
            rest = np.flatnonzero(folds != fold)
            members = found.member_log_barriers
            calibration = calibrate(rows.log_barrier()[rest], members[rest], [rows.hosts[k] for k in rest])
            mean, spread = members.mean(axis=1), members.std(axis=1, ddof=1)
            lower, upper = calibration.interval_ev(mean, spread)
            assert predictions.lower_ev[folds == fold] == pytest.approx(lower[folds == fold])
            assert predictions.upper_ev[folds == fold] == pytest.approx(upper[folds == fold])
        assert predictions.barrier_ev == pytest.approx(np.exp(found.member_log_barriers.mean(axis=1)))
        assert predictions.in_domain.tolist() == (found.domain_distance <= 1).tolist()

    def test_a_barrier_does_not_move_the_interval_of_its_fold(self, rows, folds, found):
        wild = rows.barrier_ev.copy()
        wild[folds == 0] *= 50
        other = nested_predictions(dataclasses.replace(rows, barrier_ev=wild), found, folds)
        first = nested_predictions(rows, found, folds)
        np.testing.assert_array_equal(other.upper_ev[folds == 0], first.upper_ev[folds == 0])
        assert (other.upper_ev[folds != 0] > first.upper_ev[folds != 0]).all()

    def test_missing_folds_are_refused(self, rows, folds, found):
        found.member_log_barriers[3] = np.nan
        with pytest.raises(InputError, match="every fold"):
            nested_predictions(rows, found, folds)

    def test_one_fold_has_no_other(self, rows, folds, found):
        with pytest.raises(InputError, match="two or more"):
            nested_predictions(rows, found, folds * 0)


def test_another_network_alike(quick):
    other = network_alone(quick, "other")
    assert other.arch == "other"
    assert other.trees == 0, "trees are judged by themselves"
    assert other.model_copy(update={"arch": quick.arch, "trees": quick.trees}) == quick
