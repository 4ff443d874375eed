"""What predictors cost: counts by hand, and speeds that are numbers."""

from __future__ import annotations

import numpy as np

from models.baselines import fit_baseline_trees
from models.costs import HOPS_TIMED, baseline_cost, checkpoint_cost, hops_per_second, network_cost
from models.recipe import train_checkpoint

QUICK = {"groups": ("local",), "epochs": 1, "members": 2}


def test_weights_are_counted(rows, tiny):
    settings = tiny.model_copy(update=QUICK)
    checkpoint = train_checkpoint(rows, settings, name="n", trained_on="t")
    expected = sum(
        tensor.size
        for name, tensor in ((n, t.numpy()) for n, t in checkpoint._tensors().items())
        if name.startswith("member.")
    )
    of_checkpoint = checkpoint_cost(checkpoint, rows)
    untrained = network_cost(settings, 2, rows)
    assert untrained["parameters"] == expected > 0
    nodes = checkpoint.ensemble.trees.n_nodes
    assert of_checkpoint["parameters"] == expected + nodes > expected
    assert of_checkpoint["parameters_of"] == f"weights of 2 networks, nodes of {settings.trees} trees"
    assert network_cost(settings, 4, rows)["parameters"] == 2 * expected
    assert of_checkpoint["hops_per_second"] > 0


def test_trees_are_counted_by_their_nodes(rows, tiny):
    settings = tiny.model_copy(update=QUICK)
    _, trees = fit_baseline_trees(rows.only(("local",)), seed=0)
    found = baseline_cost("extra_trees", settings, rows)
    assert found["parameters"] == trees.n_nodes
    assert found["hops_per_second"] > 0
    assert baseline_cost("median", settings, rows)["parameters"] == 1


def test_hops_are_repeated_to_have_enough():
    asked = []
    speed = hops_per_second(lambda inputs: asked.append(inputs["local"]), {"local": np.arange(5.0)})
    assert [len(one) for one in asked] == [5, HOPS_TIMED, HOPS_TIMED, HOPS_TIMED]
    assert asked[1][:7].tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert speed > 0
