"""Changed descriptors are answered as an ensemble answers them, and only what was asked for changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.domain import summary_features
from models.networks import NETWORKS, both_directions
from models.perturbation import PerturbedEnsemble, Subject, subjects_of
from models.training import train_ensemble

FAMILIES = {
    "pair": {"local": ("local_0", "local_3"), "profile": ("profile_2",)},
    "absent": {"chemistry": ("nothing",)},
}


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def ensemble(request, rows, tiny):
    return train_ensemble(rows, tiny.model_copy(update={"arch": request.param, "epochs": 1}), [0, 1])


def _slowly(ensemble, arrays, z_scores):
    """Return log barriers of standardised arrays by whole forward passes, ``(n, members)``."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        columns = [both_directions(member, tensors).numpy() for member in ensemble.members]
    features = np.concatenate(list(summary_features(z_scores).values()), axis=1)
    columns.append(ensemble.tree_module()(torch.from_numpy(features)).numpy())
    return ensemble.averaged(np.stack(columns, axis=1))


def test_nothing_changed_is_the_ensembles_own_answer(ensemble, rows):
    asked = PerturbedEnsemble(ensemble, rows.inputs)
    expected = ensemble.plain_log_barriers(rows.inputs)
    np.testing.assert_allclose(asked.log_barriers, expected, atol=1e-6)


def test_permuted_is_a_forward_pass_of_permuted_inputs(ensemble, rows):
    asked = PerturbedEnsemble(ensemble, rows.inputs)
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(len(rows)) for _ in range(2)])
    # Keys of two groups, of which the channel has an indicator that must move along.
    (subject,) = [s for s in subjects_of(rows.spec, FAMILIES) if s.name == "pair"]
    found = asked.permuted(subject, orders)
    assert found.shape == (2, len(rows), 2)
    for order, answer in zip(orders, found, strict=True):
        moved = {name: array.copy() for name, array in rows.inputs.items()}
        moved["local"][:, [0, 3]] = rows.inputs["local"][order][:, [0, 3]]
        moved["profile"][:, 2] = rows.inputs["profile"][order][:, 2]
        np.testing.assert_allclose(answer, ensemble.plain_log_barriers(moved), atol=1e-5)


def test_occluded_is_a_forward_pass_at_the_mean(ensemble, rows):
    asked = PerturbedEnsemble(ensemble, rows.inputs)
    arrays = ensemble.standardiser.transform(rows.inputs)
    z_scores = ensemble.standardiser.z_scores(rows.inputs)
    for changed in (arrays, z_scores):
        changed["topology"][:, [1, 3]] = 0.0  # key 1 is sometimes missing, 3 says when
    subject = Subject("key", "topology_1", {"topology": (1,)})
    np.testing.assert_allclose(asked.occluded(subject), _slowly(ensemble, arrays, z_scores), atol=1e-5)


def test_inputs_and_answers_stay(ensemble, rows):
    before = {name: array.copy() for name, array in rows.inputs.items()}
    asked = PerturbedEnsemble(ensemble, rows.inputs)
    answer = asked.log_barriers.copy()
    kept = {name: value.clone() for name, value in asked.values.items()}
    for subject in subjects_of(rows.spec, FAMILIES)[:6]:
        asked.occluded(subject)
        asked.permuted(subject, np.arange(len(rows))[None, ::-1].copy())
    np.testing.assert_allclose(asked.predict({}), answer, atol=0)
    assert all(torch.equal(asked.values[name], value) for name, value in kept.items())
    for name, array in before.items():
        np.testing.assert_array_equal(rows.inputs[name], array)


def test_subjects_are_groups_families_and_keys(rows):
    found = subjects_of(rows.spec, FAMILIES)
    assert [s.name for s in found[:5]] == ["local", "profile", "topology", "chemistry", "pair"]
    assert "absent" not in {s.name for s in found}
    assert [s.n_keys for s in found[:5]] == [5, 4, 3, 2, 3]
    assert sum(s.what == "key" for s in found) == 14
    some = rows.only(("profile",))
    (pair,) = [s for s in subjects_of(some.spec, FAMILIES) if s.what == "family"]
    assert pair.keys == {"profile": (2,)}
