"""Relaxed paths on a device of their own, pretended on the CPU: the same answers, and no tensor left behind.

What this shows: that every tensor of the relaxation is made on, or brought to, the device asked for, that
nothing mixes tensors of two devices, and that results come back to the host before numpy sees them.

What it cannot show, as all of it computes on the CPU: that CUDA's kernels exist for these operations and
types, that its numbers agree with the CPU's (other orders of summation, another eigensolver), that the work
fits into its memory, that asynchronous copies are waited for, or that it is any faster. The tests of fields
and relaxed paths that need CUDA show some of that, where there is one. The rules of mixing are written down
from CUDA's, not asked of it. The search for empty minima is not here, as it takes no device.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
import torch

from tasks.hops import relax
from tasks.hops.chains import distance_to_line
from tasks.hops.field import Field
from tasks.hops.neb import NebSettings
from tasks.hops.relax import relax_paths, relaxed_environments
from tests.tasks.hops.pretend_device import DEVICE, OnDevice, PretendDevice
from tests.tasks.hops.rigid_hosts import OXYGEN, hop_of, made_up, octahedron

SAME = 1e-9
"""Rounding may differ with where memory lies, and grow a little over hundreds of steps."""


@pytest.fixture
def device():
    with PretendDevice() as mode:
        yield mode


@pytest.fixture
def there(device):
    return torch.arange(6.0, device="cuda").reshape(2, 3)


class TestDouble:
    @pytest.mark.parametrize(
        "make",
        [
            partial(torch.zeros, 2, 3),
            partial(torch.empty, (2, 3)),
            partial(torch.full, (2, 3), 7.0),
            partial(torch.linspace, 0.0, 1.0, 3),
            partial(torch.arange, 3),
            partial(torch.eye, 3),
            partial(torch.tensor, [1.0, 2.0]),
            partial(torch.as_tensor, np.ones(3)),
            partial(torch.zeros_like, torch.ones(3)),
            torch.ones(3).to,
        ],
    )
    @pytest.mark.parametrize("name", ["cuda", "cuda:0", torch.device("cuda")])
    def test_tensors_are_made_there(self, device, make, name):
        made = make(device=name)
        assert isinstance(made, OnDevice)
        assert made.device == DEVICE
        assert made.is_cuda
        assert torch.zeros_like(made).device == DEVICE
        assert made.new_zeros(2).device == DEVICE
        assert torch.zeros(2, device=made.device).device == DEVICE

    def test_tensors_are_made_here_unless_asked_otherwise(self, device):
        for made in (torch.zeros(3), torch.ones(3, device="cpu"), torch.from_numpy(np.ones(3))):
            assert type(made) is torch.Tensor
            assert made.device == torch.device("cpu")
        assert device.calls == 0

    def test_there_is_one(self, device):
        with pytest.raises(RuntimeError, match="invalid device ordinal"):
            torch.zeros(3, device="cuda:1")

    def test_results_stay_there(self, there):
        values, vectors = torch.linalg.eigh(there.mT @ there)
        rows = torch.nonzero(there.sum(dim=1) > 3.0)[:, 0]
        for result in (2.0 * there, there[0], there[rows], there.norm(dim=1), values, vectors, there.exp_()):
            assert result.device == DEVICE
        assert all(part.device == DEVICE for part in there.unbind())

    def test_numbers_are_the_same(self, there):
        def some(x):
            rows = torch.nonzero(x.sum(dim=1) > 3.0)[:, 0]
            return torch.linalg.eigh(x.mT @ x)[0].sum() + torch.special.erfc(x[rows]).mul_(3.0).norm()

        here = some(torch.arange(6.0).reshape(2, 3))
        assert type(here) is torch.Tensor
        assert float(some(there)) == float(here)

    def test_in_place_it_is_one_tensor(self, there):
        view = there[0]
        assert there.mul_(2.0) is there
        assert view.tolist() == [0.0, 2.0, 4.0]
        torch.add(there, 1.0, out=there)
        assert view.tolist() == [1.0, 3.0, 5.0]

    def test_moving_copies(self, there):
        here = there.cpu()
        assert type(here) is torch.Tensor
        assert type(there.to("cpu")) is type(there.to(torch.zeros(1))) is torch.Tensor
        here += 1.0
        assert there[0].tolist() == [0.0, 1.0, 2.0]
        array = np.zeros(3)
        sent = torch.from_numpy(array).to(there.device)
        array += 1.0
        assert sent.device == DEVICE
        assert sent.tolist() == [0.0, 0.0, 0.0]
        assert there.to("cuda") is there
        assert there.to(torch.float64).device == here.cuda().device == here.to(there).device == DEVICE

    def test_numpy_may_not_look(self, there):
        for look in (there.numpy, lambda: np.asarray(there), lambda: np.sin(there)):
            with pytest.raises(TypeError, match="convert cuda:0 device type tensor to numpy"):
                look()
        with pytest.raises(BufferError):
            np.from_dlpack(there)
        assert there.cpu().numpy().sum() == np.array(there.tolist()).sum() == float(there.sum()) == 15.0

    @pytest.mark.parametrize(
        "mix",
        [
            lambda there, here: there + here,
            lambda there, here: here + there,
            lambda there, here: here.add_(there),
            lambda there, here: here + there[0, 0],
            lambda there, here: here[0, 0].add_(there[0, 0]),
            lambda there, here: torch.cat([there, here]),
            lambda there, here: torch.stack([there[0, 0], here[0, 0]]),
            lambda there, here: torch.where(here > 1.0, there, there),
            lambda there, here: there @ here.mT,
            lambda there, here: torch.sub(there, there, out=here),
            lambda there, here: here[there > 1.0],
            lambda there, here: here[torch.arange(2, device="cuda")],
            lambda there, here: there.__setitem__(there > 1.0, here[here > 1.0]),
            lambda there, here: here.__setitem__(here > 1.0, there[here > 1.0]),
        ],
    )
    def test_mixing_is_refused(self, there, mix):
        with pytest.raises(RuntimeError, match="same device"):
            mix(there, torch.arange(6.0).reshape(2, 3))

    def test_numbers_indices_and_copies_may_come_from_the_host(self, there):
        here = torch.arange(6.0).reshape(2, 3)
        assert (there * here[1, 1]).tolist() == (here * 4.0).tolist()
        assert there[here > 3.0].tolist() == [4.0, 5.0]
        assert there[torch.tensor([1])].tolist() == [[3.0, 4.0, 5.0]]
        there[torch.tensor([0])] = torch.tensor(9.0)
        assert there[0].tolist() == [9.0, 9.0, 9.0]
        there[:1] = here[1:]
        assert there[0].tolist() == [3.0, 4.0, 5.0]
        copy = here.copy_(there)
        assert type(copy) is torch.Tensor
        assert type(here[torch.tensor(1, device="cuda")]) is torch.Tensor


def ring(x, radius, turn):
    """Three oxygens round the x axis, not quite evenly."""
    angles = turn + np.array([0.0, 2.1, 4.2])
    corners = zip(radius * np.cos(angles), radius * np.sin(angles), strict=True)
    return {(x, float(y), float(z)): (OXYGEN, -2.0) for y, z in corners}


def tunnel():
    """Two octahedra that share a face, with a way straight through it."""
    return ring(-3.0, 1.7, 1.15) | ring(0.0, 1.9, 0.1) | ring(3.0, 1.7, 1.15)


def blocked():
    """Two octahedra without the corner they share, but for an oxygen that nearly stands on the line."""
    left, right = octahedron((-2, 0, 0), skip=[(1, 0, 0)]), octahedron((2, 0, 0), skip=[(-1, 0, 0)])
    return left | right | {(0.0, 0.3, 0.1): (OXYGEN, -2.0)}


def long_tunnel():
    """Three octahedra in a row that share faces, of which the middle one is empty."""
    return ring(-4.5, 1.7, 1.0) | ring(-1.5, 1.9, 0.1) | ring(1.5, 1.95, 1.15) | ring(4.5, 1.7, 0.1)


@pytest.fixture(scope="module")
def envs(structures):
    """Hops without symmetry that rounding could break either way."""
    return {
        "straight": made_up(tunnel(), (-1.5, 0, 0), (1.5, 0, 0)),
        "bent": hop_of(structures["LiFePO4"]),
        "collapsed": made_up(tunnel(), (-0.9, 0.1, 0.1), (1.5, 0, 0)),
        "split": made_up(long_tunnel(), (-3, 0, 0), (3, 0, 0)),
        "without parameters": made_up({(0, 2, 0): (7, -3.0)}, (-1.5, 0, 0), (1.5, 0, 0), ion="Na"),
        "through an atom": made_up(blocked(), (-2, 0, 0), (2, 0, 0)),
    }


@pytest.fixture(scope="module")
def paths(envs):
    return dict(zip(envs, relax_paths(list(envs.values())), strict=True))


def assert_same(found, expected):
    for mine, other in zip(found, expected, strict=True):
        for field in fields(other):
            value, wanted = getattr(mine, field.name), getattr(other, field.name)
            if isinstance(wanted, np.ndarray):
                assert type(value) is np.ndarray
                assert value == pytest.approx(wanted, abs=SAME, nan_ok=True), field.name
            elif isinstance(wanted, float):
                assert type(value) is float
                assert value == pytest.approx(wanted, abs=SAME, nan_ok=True), field.name
            elif field.name == "extrema":
                assert [e.kind for e in value] == [e.kind for e in wanted]
                assert [e.energy_ev for e in value] == pytest.approx([e.energy_ev for e in wanted], abs=SAME)
            else:
                assert value == wanted, field.name


class TestPaths:
    def test_the_hops_are_what_they_are_called(self, envs, paths):
        assert all(path.converged for name, path in paths.items() if name != "without parameters")
        assert paths["straight"].kind == paths["bent"].kind == "bvse"
        assert paths["collapsed"].kind == "bvse_fixed_ends"
        assert len(paths["split"].intermediates_ang) == 1
        assert paths["without parameters"].missing == ("Na-N3-",)
        away = {
            name: distance_to_line(path.positions_ang, *envs[name].path_ang[[0, -1]]).max()
            for name, path in paths.items()
        }
        assert away["straight"] < 0.2
        assert away["bent"] > 0.5
        assert away["through an atom"] > 1.0

    def test_they_are_the_same_there(self, device, envs, paths):
        before = torch.cuda.is_initialized()
        found = relax_paths(list(envs.values()), device="cuda")
        assert device.calls > 10_000
        assert torch.cuda.is_initialized() == before
        assert_same(found, paths.values())

    def test_one_by_one_too(self, device, envs, paths):
        some = ["straight", "without parameters", "bent"]
        found = relax_paths([envs[name] for name in some], device="cuda:0", max_entries=1)
        assert_same(found, [paths[name] for name in some])

    def test_the_second_try_is_made_there_too(self, device, envs, monkeypatch):
        devices = []

        class Watched(Field):
            def __init__(self, hosts, where):
                devices.append(where)
                super().__init__(hosts, where)

        monkeypatch.setattr(relax, "Field", Watched)
        hasty = NebSettings(max_steps=20)
        found = relax_paths([envs["straight"]], hasty, device="cuda")
        assert devices == [torch.device("cuda")] * 2
        assert found[0].converged
        assert_same(found, relax_paths([envs["straight"]], hasty))

    def test_environments_are_cut_round_paths_relaxed_there(self, device, envs, paths):
        def cut(radius_ang=None, relaxed=None):
            return replace(envs["straight"], relaxed=relaxed)

        (found,) = relaxed_environments([cut], device="cuda")
        assert device.calls > 0
        assert_same([found.relaxed], [paths["straight"]])


class TestForgottenDevice:
    """The mistakes that this is for are found: factories that forget their device make it fail."""

    @pytest.mark.parametrize("factory", ["zeros", "full", "arange", "linspace", "eye"])
    def test_a_tensor_left_on_the_host_is_found(self, device, envs, monkeypatch, factory):
        make = getattr(torch, factory)

        def forget(*args, device=None, **kwargs):
            return make(*args, **kwargs)

        monkeypatch.setattr(torch, factory, forget)
        with pytest.raises(RuntimeError, match="same device"):
            relax_paths([envs["straight"]], device="cuda")

    def test_a_result_that_numpy_reads_there_is_found(self, device, envs, monkeypatch):
        monkeypatch.setattr(torch.Tensor, "cpu", lambda self: self)
        with pytest.raises(TypeError, match="to numpy"):
            relax_paths([envs["straight"]], device="cuda")
