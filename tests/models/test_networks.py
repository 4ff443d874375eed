"""Every network of the registry keeps the interface."""

from __future__ import annotations

import pytest
import torch

from models.errors import ModelError
from models.networks import NETWORKS, both_directions, build_network, reverse

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


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_both_directions_is_invariant_where_one_is_not(arch, tiny):
    torch.manual_seed(0)
    network = build_network(SIZES, tiny.model_copy(update={"arch": arch})).eval()
    inputs = _inputs(9)
    assert not torch.equal(network(inputs), network(reverse(inputs)))
    assert torch.equal(both_directions(network, inputs), both_directions(network, reverse(inputs)))


def test_unknown_architecture_is_named(tiny):
    with pytest.raises(ModelError, match=r"'resnet'; allowed are \['cnn'"):
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
