"""The contract that every predictor of barriers passes; add a predictor by adding it to ``PREDICTORS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models.arrays import LabelledArrays
from models.checkpoints import load
from models.errors import InputError, VersionError
from models.networks import NETWORKS
from models.predictor import Predictor
from models.recipe import train_checkpoint
from models.settings import TrainSettings
from models.specs import GROUP_NAMES, GroupName, GroupSpec, InputSpec

if TYPE_CHECKING:
    from collections.abc import Callable

SAME_EV = 1e-6
DEVICES_AGREE_EV = 1e-4
N = 48


def _rows() -> LabelledArrays:
    shapes = {"local": (4,), "profile": (3, 7), "topology": (3,), "chemistry": (2,)}
    groups = [
        GroupSpec(name=name, version=2, keys=tuple(f"{name}_{k}" for k in range(shape[0])), shape=shape)
        for name, shape in shapes.items()
    ]
    rng = np.random.default_rng(11)
    inputs = {group.name: rng.normal(size=(N, *group.shape)).astype(np.float32) for group in groups}
    inputs["topology"][::4, 0] = np.nan
    return LabelledArrays(
        inputs=inputs,
        barrier_ev=np.exp(0.5 * inputs["local"][:, 0].astype(float) - 0.7),
        ids=tuple(f"hop-{k}" for k in range(N)),
        hosts=tuple(f"host-{k // 3}" for k in range(N)),
        ions=("Li",) * N,
        spec=InputSpec(groups=tuple(groups)),
    )


def _trained(
    arch: str, groups: tuple[GroupName, ...] = GROUP_NAMES, seed: int = 0
) -> Callable[[], Predictor]:
    def build() -> Predictor:
        settings = TrainSettings(
            arch=arch, groups=groups, seed=seed, members=2, epochs=4, batch_size=16, channels=8, blocks=1,
            hidden=8, fused=8, calibration_folds=2, calibration_members=2,
        )  # fmt: skip
        return train_checkpoint(_rows(), settings, name=arch, trained_on="synthetic rows")

    return build


PREDICTORS: dict[str, Callable[[], Predictor]] = {arch: _trained(arch) for arch in NETWORKS}
PREDICTORS |= {f"{arch} of two groups": _trained(arch, ("profile", "topology")) for arch in NETWORKS}
PREDICTORS |= {f"{arch} of vectors": _trained(arch, ("local", "topology")) for arch in NETWORKS}
PREDICTORS |= {f"{arch} of an image": _trained(arch, ("profile",)) for arch in NETWORKS}


@pytest.fixture(scope="module", params=sorted(PREDICTORS))
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return PREDICTORS[request.param]()


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in _rows().inputs.items()}


def _fields(predictions):
    return {
        "barrier_ev": predictions.barrier_ev,
        "log_spread": predictions.log_spread,
        "member_barriers_ev": predictions.member_barriers_ev,
        "lower_ev": predictions.lower_ev,
        "upper_ev": predictions.upper_ev,
        "domain_distance": predictions.domain_distance,
    }


def test_is_a_predictor(predictor):
    assert isinstance(predictor, Predictor)
    assert len(predictor.digest) == 64


def test_shapes_and_order_of_the_interval(predictor, inputs):
    predictions = predictor.predict(inputs)
    assert len(predictions) == N
    for name, values in _fields(predictions).items():
        assert values.shape == ((N, 2) if name == "member_barriers_ev" else (N,))
        assert np.isfinite(values).all(), name
    assert predictions.in_domain.dtype == np.bool_
    assert (predictions.barrier_ev > 0).all()
    assert (predictions.lower_ev < predictions.barrier_ev).all()
    assert (predictions.barrier_ev < predictions.upper_ev).all()
    assert (predictions.log_spread >= 0).all()
    assert predictions.barrier_ev.std() > 0, "every hop got the same barrier"


def test_barrier_is_the_geometric_mean_of_the_members(predictor, inputs):
    predictions = predictor.predict(inputs)
    logs = np.log(predictions.member_barriers_ev)
    np.testing.assert_allclose(predictions.barrier_ev, np.exp(logs.mean(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(predictions.log_spread, logs.std(axis=1, ddof=1), rtol=1e-9)


def test_inputs_stay_and_answers_repeat(predictor, inputs):
    before = {name: array.copy() for name, array in inputs.items()}
    first = _fields(predictor.predict(inputs))
    second = _fields(predictor.predict(inputs))
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, before[name])
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_a_batch_equals_single_hops(predictor, inputs):
    whole = _fields(predictor.predict(inputs))
    for row in (0, 1, N - 1):
        one = _fields(predictor.predict({name: array[row : row + 1] for name, array in inputs.items()}))
        for name, values in whole.items():
            np.testing.assert_allclose(one[name][0], values[row], atol=SAME_EV, err_msg=name)


def test_order_of_hops_does_not_matter(predictor, inputs):
    order = np.random.default_rng(3).permutation(N)
    whole = _fields(predictor.predict(inputs))
    mixed = _fields(predictor.predict({name: array[order] for name, array in inputs.items()}))
    for name, values in whole.items():
        np.testing.assert_allclose(mixed[name], values[order], atol=SAME_EV, err_msg=name)


def test_direction_does_not_matter_at_all(predictor, inputs):
    forward = _fields(predictor.predict(inputs))
    backward = _fields(predictor.predict({**inputs, "profile": inputs["profile"][..., ::-1]}))
    for name, values in forward.items():
        np.testing.assert_array_equal(backward[name], values, err_msg=name)


def test_an_image_matters_beyond_its_direction(predictor, inputs):
    forward = predictor.predict(inputs).barrier_ev
    other = predictor.predict({**inputs, "profile": inputs["profile"] + 1.0}).barrier_ev
    assert (np.abs(forward - other).max() > SAME_EV) == ("profile" in predictor.spec.names())


def test_a_group_matters_where_the_predictor_takes_it_and_nowhere_else(predictor, inputs):
    before = _fields(predictor.predict(inputs))
    for group in GROUP_NAMES:
        after = _fields(predictor.predict({**inputs, group: inputs[group] + 1.0}))
        if group in predictor.spec.names():
            assert np.abs(after["barrier_ev"] - before["barrier_ev"]).max() > SAME_EV, group
        else:
            for name, values in before.items():
                np.testing.assert_array_equal(after[name], values, err_msg=f"{group}: {name}")


def test_groups_that_it_does_not_take_may_be_absent(predictor, inputs):
    whole = predictor.predict(inputs).barrier_ev
    taken = {name: inputs[name] for name in predictor.spec.names()}
    np.testing.assert_array_equal(predictor.predict(taken).barrier_ev, whole)


def test_other_floats_give_the_same_in_double_precision_out(predictor, inputs):
    single = _fields(predictor.predict(inputs))
    double = _fields(predictor.predict({name: array.astype(np.float64) for name, array in inputs.items()}))
    for name, values in single.items():
        assert values.dtype == np.float64, name
        np.testing.assert_array_equal(double[name], values, err_msg=name)


def test_what_is_saved_predicts_the_same(predictor, inputs, tmp_path):
    before = _fields(predictor.predict(inputs))
    predictor.save(tmp_path / "saved")
    again = load(tmp_path / "saved", expected=predictor.spec)
    assert again.digest == predictor.digest
    for name, values in _fields(again.predict(inputs)).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_trainer_and_plain_forward_pass_agree(predictor, inputs):
    by_trainer = _fields(predictor.predict(inputs, accelerator="cpu"))
    for name, values in _fields(predictor.predict_plain(inputs)).items():
        np.testing.assert_allclose(values, by_trainer[name], atol=SAME_EV, err_msg=name)


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_the_same_seed_gives_the_same_digest_and_another_another(arch):
    first, second = _trained(arch)(), _trained(arch)()
    assert first.digest == second.digest
    assert _trained(arch, seed=1)().digest != first.digest


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none")
def test_cpu_and_cuda_agree(predictor, inputs):
    on_cpu = predictor.predict(inputs, accelerator="cpu").barrier_ev
    on_cuda = predictor.predict(inputs, accelerator="cuda").barrier_ev
    np.testing.assert_allclose(on_cuda, on_cpu, atol=DEVICES_AGREE_EV)


def test_missing_values_are_tolerated_everywhere(predictor, inputs):
    for name, array in inputs.items():
        array[:2] = np.nan
        assert np.isfinite(predictor.predict(inputs).barrier_ev).all(), name


def test_no_hops_is_no_error(predictor, inputs):
    assert len(predictor.predict({name: array[:0] for name, array in inputs.items()})) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, name: {**i, name: i[name][:, :-1]}, "'{}' has shape"),
        (lambda i, name: {**i, name: i[name][0]}, "'{}' has shape"),
        (lambda i, name: {k: v for k, v in i.items() if k != name}, r"missing \['{}'\]"),
        (lambda i, name: {**i, "potential": i[name]}, r"unknown \['potential'\]"),
        (lambda i, name: {**i, name: np.full_like(i[name], np.inf)}, "'{}' holds an infinite"),
    ],
)
def test_wrong_inputs_are_named(predictor, inputs, change, message):
    for name in predictor.spec.names():
        with pytest.raises(InputError, match=message.format(name)):
            predictor.predict(change(inputs, name))


def test_groups_of_different_numbers_of_hops_are_refused(predictor, inputs):
    for name in predictor.spec.names()[1:]:
        with pytest.raises(InputError, match="same number of hops"):
            predictor.predict({**inputs, name: inputs[name][:3]})


def test_other_descriptor_versions_are_refused_by_name(predictor):
    for name in predictor.spec.names():
        groups = [group.model_copy(update={"version": 3}) if group.name == name else group
                  for group in predictor.spec.groups]  # fmt: skip
        with pytest.raises(VersionError, match=rf"'{name}' in version 2, at hand is 3.*lihop train"):
            predictor.check_spec(InputSpec(groups=tuple(groups)))
