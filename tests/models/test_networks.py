"""Every network of the registry keeps the interface."""

from __future__ import annotations

import math

import pytest
import torch

from models.errors import ModelError
from models.networks import NETWORKS, both_directions, build_network, directions, reverse
from models.networks.base import folded
from models.networks.fourier import cosine_basis
from models.settings import TrainSettings
from models.specs import NETWORK_NAMES

SIZES = {"local": (5,), "profile": (4, 21), "topology": (7,)}


def _inputs(n: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    return {name: torch.randn(n, *size, generator=generator) for name, size in SIZES.items()}


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_shape_gradients_and_use_of_every_group(arch, tiny):
    torch.manual_seed(0)
    network = build_network(SIZES, tiny.model_copy(update={"arch": arch, "dropout": 0.0}))
    inputs = {name: value.requires_grad_() for name, value in _inputs(6).items()}
    output = network(inputs)
    assert output.shape == (6,)
    output.sum().backward()
    for name, value in inputs.items():
        assert value.grad is not None
        assert value.grad.abs().sum() > 0, name
    assert all(p.grad is not None for p in network.parameters())


def test_the_names_that_need_no_torch_are_those_of_the_registry():
    assert set(NETWORK_NAMES) == set(NETWORKS)


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_input_is_left_as_it_was_and_rows_do_not_mix(arch, tiny):
    torch.manual_seed(0)
    network = build_network(SIZES, tiny.model_copy(update={"arch": arch})).eval()
    inputs = _inputs(7)
    before = {name: value.clone() for name, value in inputs.items()}
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        output = network(inputs)
        assert torch.equal(network(inputs), output)
        changed = {name: torch.cat([value[:1], value[1:] + 1]) for name, value in inputs.items()}
        torch.testing.assert_close(network(changed)[0], output[0], rtol=0, atol=1e-6)
    assert output.dtype == torch.float32
    assert all(torch.equal(inputs[name], value) for name, value in before.items())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in state.items())


@pytest.mark.parametrize("arch", sorted(NETWORKS))
@pytest.mark.parametrize("size", [{"channels": 1, "hidden": 1, "fused": 1}, {"blocks": 0}, {"channels": 6}])
def test_odd_sizes_will_do(arch, size, tiny):
    torch.manual_seed(0)
    network = build_network(SIZES, tiny.model_copy(update={"arch": arch, **size})).eval()
    assert both_directions(network, _inputs(3)).shape == (3,)


def test_networks_are_of_one_order_of_size():
    sizes = {"local": (254,), "profile": (51, 21), "chemistry": (75,)}
    counts = {
        arch: sum(p.numel() for p in build_network(sizes, TrainSettings(arch=arch)).parameters())
        for arch in NETWORKS
    }
    assert max(counts.values()) < 2 * min(counts.values()), counts


class TestFourier:
    def test_projections_are_drawn_from_the_seed_and_not_learned(self, tiny):
        settings = tiny.model_copy(update={"arch": "fourier"})
        torch.manual_seed(3)
        first = build_network(SIZES, settings)
        assert "frequencies" in first.state_dict()
        assert "frequencies" not in dict(first.named_parameters())
        other = build_network(SIZES, settings)
        assert not torch.equal(first.frequencies, other.frequencies)
        torch.manual_seed(3)
        assert torch.equal(build_network(SIZES, settings).frequencies, first.frequencies)
        other.load_state_dict(first.state_dict())
        inputs = _inputs(4)
        assert torch.equal(other.eval()(inputs), first.eval()(inputs))

    def test_features_are_those_of_the_paper(self, tiny):
        torch.manual_seed(0)
        network = build_network({"local": (5,)}, tiny.model_copy(update={"arch": "fourier"})).eval()
        seen = []
        network.body[0].register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
        value = _inputs(3)["local"]
        network({"local": value})
        count = network.frequencies.shape[1]
        for row in range(3):
            for k in range(count):
                angle = 2 * math.pi * float(value[row] @ network.frequencies[:, k])
                assert float(seen[0][row, k]) == pytest.approx(math.cos(angle), abs=1e-5)
                assert float(seen[0][row, count + k]) == pytest.approx(math.sin(angle), abs=1e-5)

    def test_cosine_terms_are_orthonormal_and_begin_with_the_mean(self):
        basis = cosine_basis(21, 4)
        torch.testing.assert_close(basis.T @ basis, torch.eye(4), rtol=0, atol=1e-6)
        torch.testing.assert_close(basis[:, 0], torch.full((21,), 21**-0.5))
        # Odd terms change sign when the path is reversed, even ones stay.
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
        torch.testing.assert_close(basis.flip(0), basis * signs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_both_directions_is_invariant_where_one_is_not(arch, tiny):
    torch.manual_seed(0)
    settings = tiny.model_copy(update={"arch": arch, "fold_paths": False})
    network = build_network(SIZES, settings).eval()
    inputs = _inputs(9)
    assert len(directions(network, inputs)) == 2
    assert not torch.equal(network(inputs), network(reverse(inputs)))
    assert torch.equal(both_directions(network, inputs), both_directions(network, reverse(inputs)))


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_a_network_that_folds_paths_is_asked_once_and_knows_no_direction(arch, tiny):
    torch.manual_seed(0)
    network = build_network(SIZES, tiny.model_copy(update={"arch": arch, "fold_paths": True})).eval()
    inputs = _inputs(9)
    assert len(directions(network, inputs)) == 1
    assert torch.equal(network(inputs), network(reverse(inputs)))
    assert torch.equal(both_directions(network, inputs), network(inputs))


class TestFolded:
    @pytest.mark.parametrize("positions", [1, 2, 5, 6])
    def test_it_is_mean_and_distance_of_mirror_points(self, positions):
        image = torch.randn(2, 3, positions, generator=torch.Generator().manual_seed(positions))
        found = folded(image)
        half = (positions + 1) // 2
        assert found.shape == (2, 6, half)
        for row in range(2):
            for channel in range(3):
                for k in range(half):
                    one, other = float(image[row, channel, k]), float(image[row, channel, positions - 1 - k])
                    assert float(found[row, channel, k]) == pytest.approx((one + other) / 2, abs=1e-6)
                    assert float(found[row, 3 + channel, k]) == pytest.approx(abs(one - other), abs=1e-6)

    def test_the_middle_stands_for_itself(self):
        image = torch.tensor([[[1.0, 2.0, 7.0]]])
        assert folded(image).tolist() == [[[4.0, 2.0], [6.0, 0.0]]]


def test_unknown_architecture_is_named(tiny):
    with pytest.raises(ModelError, match=r"'resnet'; allowed are \['cnn', 'fourier', 'rnn'\]"):
        build_network(SIZES, tiny.model_copy(update={"arch": "resnet"}))


@pytest.mark.parametrize("arch", sorted(NETWORKS))
@pytest.mark.parametrize("names", [("local",), ("profile",), ("local", "topology")])
def test_any_of_the_groups_will_do(arch, names, tiny):
    torch.manual_seed(0)
    sizes = {name: SIZES[name] for name in names}
    network = build_network(sizes, tiny.model_copy(update={"arch": arch})).eval()
    inputs = {name: _inputs(6)[name] for name in names}
    output = both_directions(network, inputs)
    assert output.shape == (6,)
    assert output.std() > 0
