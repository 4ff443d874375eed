"""Trees kept as arrays: as scikit-learn says, node by node, and refused where they would read elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor

from models.errors import CheckpointError
from models.trees import LEAF, MAX_FEATURES, TreeEnsemble, TreeModule, _rounded_down, fit_trees

N_FEATURES = 6


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(3)
    # Coarse values, so that many rows lie on one side or the other by the last digit of a threshold.
    features = random.integers(-3, 4, size=(80, N_FEATURES)).astype(np.float32) / 3
    target = (features[:, 0] * features[:, 1] + 0.1 * random.normal(size=80)).astype(np.float32)
    return features, target


@pytest.fixture(scope="module")
def trees(table):
    return fit_trees(*table, n_trees=7, seed=5)


def walk(trees: TreeEnsemble, row: np.ndarray) -> float:
    """Walk down every tree, a node at a time."""
    found = []
    for tree in range(len(trees)):
        node = 0
        while int(trees.feature[tree, node]) != LEAF:
            goes_left = row[int(trees.feature[tree, node])] <= float(trees.threshold[tree, node])
            node = int((trees.left if goes_left else trees.right)[tree, node])
        found.append(float(trees.value[tree, node]))
    return float(np.mean(found))


def test_as_scikit_learn_and_as_one_walks(table, trees):
    features, target = table
    peer = ExtraTreesRegressor(7, min_samples_leaf=1, max_features=MAX_FEATURES, random_state=5)
    peer.fit(features, target)
    asked = np.random.default_rng(4).normal(size=(50, N_FEATURES)).astype(np.float32)
    assert trees.n_nodes == sum(one.tree_.node_count for one in peer.estimators_)
    for rows in (features, asked):
        found = TreeModule(trees, 0.0)(torch.from_numpy(rows)).numpy()
        np.testing.assert_allclose(found, peer.predict(rows), atol=2e-6)
        np.testing.assert_allclose(found, [walk(trees, row) for row in rows], atol=1e-6)


def test_shortened_thresholds_part_the_same_values():
    random = np.random.default_rng(0)
    threshold = np.concatenate([random.normal(size=200), [0.0, 1.0, 1 / 3, -1 / 3, 1e-30, -1e-30]])
    shortened = _rounded_down(threshold)
    assert shortened.dtype == np.float32
    nearest = threshold.astype(np.float32)
    for step in (-np.inf, None, np.inf):
        value = nearest if step is None else np.nextafter(nearest, np.float32(step))
        np.testing.assert_array_equal(value <= shortened, value.astype(np.float64) <= threshold)


def test_arrays_there_and_back(table, trees):
    again = TreeEnsemble.from_tensors(trees.tensors(), n_features=N_FEATURES)
    rows = torch.from_numpy(table[0])
    assert trees.tensors()["left"].dtype == torch.int16
    torch.testing.assert_close(TreeModule(again, 0.0)(rows), TreeModule(trees, 0.0)(rows), rtol=0, atol=0)


def test_rows_do_not_see_each_other(table, trees):
    rows = torch.from_numpy(table[0])
    together = TreeModule(trees, 0.0)(rows)
    alone = torch.cat([TreeModule(trees, 0.0)(row[None]) for row in rows])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)


def slopes(trees: TreeEnsemble, row: np.ndarray, band: float) -> float:
    """Go down both sides of every node with their shares."""

    def below(tree: int, node: int) -> float:
        feature = int(trees.feature[tree, node])
        if feature == LEAF:
            return float(trees.value[tree, node])
        apart = float(trees.threshold[tree, node]) - float(row[feature])
        share = min(max(apart / (2 * band) + 0.5, 0.0), 1.0)
        children = int(trees.left[tree, node]), int(trees.right[tree, node])
        return share * below(tree, children[0]) + (1 - share) * below(tree, children[1])

    return float(np.mean([below(tree, 0) for tree in range(len(trees))]))


@pytest.mark.parametrize("band", [0.01, 0.3, 1.0])
def test_in_the_band_a_row_goes_both_ways(table, trees, band):
    rows = np.concatenate([table[0][:20], np.random.default_rng(6).normal(size=(20, N_FEATURES))])
    rows = rows.astype(np.float32)
    found = TreeModule(trees, band)(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(found, [slopes(trees, row, band) for row in rows], atol=1e-6)
    alone = np.concatenate([TreeModule(trees, band)(torch.from_numpy(row[None])).numpy() for row in rows])
    np.testing.assert_array_equal(found, alone)


def test_a_band_answers_little_noise_with_little_change(trees):
    threshold = float(trees.threshold[0, 0])
    rows = np.zeros((2, N_FEATURES), np.float32)
    rows[:, int(trees.feature[0, 0])] = [threshold - 1e-6, threshold + 1e-6]
    step, slope = (TreeModule(trees, band)(torch.from_numpy(rows)) for band in (0.0, 0.05))
    assert abs(float(step[1] - step[0])) > 1e-3
    assert abs(float(slope[1] - slope[0])) < 1e-4


def test_a_single_row_is_a_single_leaf():
    trees = fit_trees(np.zeros((1, 2), np.float32), np.array([0.7], np.float32), n_trees=2, seed=0)
    assert TreeModule(trees, 0.0)(torch.ones(3, 2)).tolist() == pytest.approx([0.7] * 3)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("left", 0, "come after"),
        ("right", 10_000, "come after"),
        ("feature", N_FEATURES, "beyond"),
        ("feature", -2, "beyond"),
    ],
)
def test_damaged_trees_are_refused(trees, name, value, says):
    tensors = {key: tensor.clone() for key, tensor in trees.tensors().items()}
    tensors[name][0, 0] = value
    with pytest.raises(CheckpointError, match=says):
        TreeEnsemble.from_tensors(tensors, n_features=N_FEATURES)
    tensors[name] = tensors[name][:, 1:]
    with pytest.raises(CheckpointError, match="one shape"):
        TreeEnsemble.from_tensors(tensors, n_features=N_FEATURES)
