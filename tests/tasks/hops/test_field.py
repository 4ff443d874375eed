"""The batched field in torch against the slow sums, finite differences, and itself one hop at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.hops.bvse import pair_parameters, site_energy_ev
from tasks.hops.field import Field, Host
from tests.tasks.hops.rigid_hosts import hop_of, made_up, octahedron

CPU = torch.device("cpu")
EXACT_EV = 1e-9
GRADIENT_EV_ANG = 1e-5


def host_of(env):
    origin = env.path_ang[[0, -1]].mean(axis=0)
    parameters = pair_parameters(env.working_ion, env.numbers, env.charges)
    return Host(env.coords_ang - origin, parameters), env.path_ang - origin


@pytest.fixture(scope="module")
def batch(structures):
    """Hosts of several sizes and kinds, one without cations, and a path in each."""
    envs = [hop_of(structures[name]) for name in ("LiFePO4", "LiCoO2", "LiMn2O4")]
    envs.append(made_up(octahedron((0, 0, 0)), (-0.5, 0.1, 0), (0.6, 0, 0.2)))
    return [host_of(env) for env in envs]


@pytest.fixture(scope="module")
def found(batch):
    hosts, paths = zip(*batch, strict=True)
    return Field(hosts, CPU).energy_and_force(torch.from_numpy(np.array(paths)))


def test_energies_are_the_slow_sums(batch, found):
    for row, (host, path) in enumerate(batch):
        slow = site_energy_ev(path, host.coords_ang, host.parameters)
        assert found[0][row].numpy() == pytest.approx(slow, abs=EXACT_EV)


def test_forces_are_the_slope_of_the_slow_sums(batch, found):
    step = 1e-5
    for row, (host, path) in enumerate(batch):
        for axis in range(3):
            shift = np.eye(3)[axis] * step
            up, down = (site_energy_ev(path + s * shift, host.coords_ang, host.parameters) for s in (1, -1))
            slope = (up - down) / (2 * step)
            assert found[1][row, :, axis].numpy() == pytest.approx(-slope, rel=1e-6, abs=GRADIENT_EV_ANG)


def test_a_hop_in_a_batch_is_the_hop_alone(batch, found):
    for row, (host, path) in enumerate(batch):
        energy, force = Field([host], CPU).energy_and_force(torch.from_numpy(path[None]))
        assert torch.allclose(energy[0], found[0][row], atol=EXACT_EV, rtol=0)
        assert torch.allclose(force[0], found[1][row], atol=EXACT_EV, rtol=0)


def test_take_gives_rows_in_the_order_asked_for_and_again(batch, found):
    hosts, paths = zip(*batch, strict=True)
    rows = torch.tensor([2, 0, 2])
    positions = torch.from_numpy(np.array(paths))[rows]
    energy, force = Field(hosts, CPU).take(rows).energy_and_force(positions)
    assert torch.allclose(energy, found[0][rows], atol=EXACT_EV, rtol=0)
    assert torch.allclose(force, found[1][rows], atol=EXACT_EV, rtol=0)


def test_an_ion_on_top_of_an_atom_has_a_finite_energy():
    host, _ = host_of(
        made_up({(0.0, 0.0, 0.0): (26, 3.0), (2.0, 0.0, 0.0): (8, -2.0)}, (-1, 0, 0), (1, 0, 0))
    )
    energy, force = Field([host], CPU).energy_and_force(
        torch.tensor([[[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0]]]).double()
    )
    assert torch.isfinite(energy).all()
    assert torch.isfinite(force).all()
    assert energy.min() > 100.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_the_same_on_cuda(batch, found):
    hosts, paths = zip(*batch, strict=True)
    device = torch.device("cuda")
    energy, force = Field(hosts, device).energy_and_force(torch.from_numpy(np.array(paths)).to(device))
    assert torch.allclose(energy.cpu(), found[0], atol=EXACT_EV, rtol=0)
    assert torch.allclose(force.cpu(), found[1], atol=EXACT_EV, rtol=0)
