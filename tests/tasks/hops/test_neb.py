"""The batched NEB: its forces image by image in plain numpy, and saddles that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.hops.neb import TIE_EV, NebSettings, neb_force, relax_chains, relax_points
from tests.tasks.hops.rigid_hosts import Landscape

SETTINGS = NebSettings(n_images=9, spring_ev_ang2=2.0, tolerance_ev_ang=0.005)


def force_by_hand(chain, energies, force, spring, *, climb):
    """The improved tangent and the climbing image for one chain, one image at a time."""
    inner = range(1, len(chain) - 1)
    tops = [n for n in inner if energies[n] >= energies[n - 1] and energies[n] >= energies[n + 1]]
    highest = max((energies[n] for n in tops), default=-np.inf)
    moved = []
    for n in inner:
        before, after = chain[n] - chain[n - 1], chain[n + 1] - chain[n]
        low, here, high = energies[n - 1], energies[n], energies[n + 1]
        if high > here > low:
            tangent = after
        elif high < here < low:
            tangent = before
        else:
            most, least = max(abs(high - here), abs(low - here)), min(abs(high - here), abs(low - here))
            weights = (most, least) if high > low else (least, most)
            tangent = weights[0] * after + weights[1] * before
        tangent = tangent / np.linalg.norm(tangent)
        along = force[n - 1] @ tangent
        if climb and n in tops and energies[n] > highest - TIE_EV:
            moved.append(force[n - 1] - 2 * along * tangent)
        else:
            stretch = spring * (np.linalg.norm(after) - np.linalg.norm(before))
            moved.append(force[n - 1] - along * tangent + stretch * tangent)
    return np.array(moved)


@pytest.mark.parametrize("climbs", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_forces_are_those_of_the_papers_image_by_image(seed, climbs):
    random = np.random.default_rng(seed)
    chain = np.cumsum(random.normal(1.0, 0.4, size=(12, 9, 3)), axis=1)
    energies, force = random.normal(size=(12, 9)), random.normal(size=(12, 7, 3))
    climb = torch.full((12,), climbs)
    ours = neb_force(torch.from_numpy(chain), torch.from_numpy(energies), torch.from_numpy(force), climb, 2.0)
    for row in range(12):
        slow = force_by_hand(chain[row], energies[row], force[row], 2.0, climb=climbs)
        assert ours[row].numpy() == pytest.approx(slow, abs=1e-9)


def test_two_tops_of_one_height_climb_and_a_lower_one_does_not():
    chain = torch.zeros(1, 7, 3, dtype=torch.float64)
    chain[0, :, 0] = torch.arange(7)
    force = torch.tensor([1.0, 0, 0], dtype=torch.float64).repeat(1, 5, 1)
    climb = torch.tensor([True])
    equal = torch.tensor([[0.0, 1.0, 0.2, 1.0 + TIE_EV / 2, 0.2, 0.5, 0.0]], dtype=torch.float64)
    moved = neb_force(chain, equal, force, climb, 2.0)[0, :, 0]
    assert moved.tolist() == pytest.approx([-1.0, 0.0, -1.0, 0.0, 0.0])


def double_well(x):
    """Wells of depth 1 eV at x = -1 and 1, a saddle of 0 eV at the bent valley's top, y = 0.5 there."""
    valley = 0.5 * (1.0 - x[..., 0] ** 2)
    return (x[..., 0] ** 2 - 1.0) ** 2 - 1.0 + 4.0 * (x[..., 1] - valley) ** 2 + 2.0 * x[..., 2] ** 2


def line(start, end, n_images=9):
    share = torch.linspace(0, 1, n_images, dtype=torch.float64)[:, None]
    points = (1 - share) * torch.tensor(start, dtype=torch.float64) + share * torch.tensor(
        end, dtype=torch.float64
    )
    return points[None]


def test_saddle_of_a_bent_double_well():
    found = relax_chains(Landscape(double_well), line([-1, 0, 0], [1, 0, 0]), SETTINGS)
    top = int(found.energies[0].argmax())
    assert found.energies[0, top].item() == pytest.approx(0.0, abs=1e-4)
    assert found.positions[0, top].tolist() == pytest.approx([0.0, 0.5, 0.0], abs=5e-3)
    assert found.residual[0] <= SETTINGS.tolerance_ev_ang
    assert 0 < found.steps[0] < SETTINGS.max_steps


def test_climbing_finds_a_saddle_between_two_images():
    """With an even number of images none lies at the top unless it climbs there."""
    found = relax_chains(Landscape(double_well), line([-1, 0, 0], [1, 0, 0], 8), SETTINGS)
    assert found.energies.max().item() == pytest.approx(0.0, abs=1e-4)


def mueller_brown(x):
    """Müller and Brown's surface, a tenth of it in eV, widened fourfold: its saddles are published."""
    terms = [
        (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
        (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
        (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
        (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
    ]
    u, v = x[..., 0] / 4, x[..., 1] / 4
    total = 20.0 * x[..., 2] ** 2
    for a, p, q, r, u0, v0 in terms:
        total = total + 0.1 * a * torch.exp(p * (u - u0) ** 2 + q * (u - u0) * (v - v0) + r * (v - v0) ** 2)
    return total


def test_both_saddles_of_mueller_and_brown():
    """Minima at (-0.558, 1.442), (-0.050, 0.467), (0.623, 0.028); saddles of -40.665 and -72.249."""
    minima = [[-0.558224, 1.441726, 0], [-0.050011, 0.466694, 0], [0.623499, 0.028038, 0]]
    ends = [(minima[0], minima[1]), (minima[1], minima[2])]
    chains = torch.cat([line([4 * c for c in a], [4 * c for c in b], 11) for a, b in ends])
    found = relax_chains(
        Landscape(mueller_brown), chains, NebSettings(tolerance_ev_ang=0.005, max_steps=2000)
    )
    assert (found.residual <= 0.005).all()
    assert (found.energies.amax(dim=1) / 0.1).tolist() == pytest.approx([-40.6648, -72.2489], abs=0.01)


def test_points_slide_to_the_nearest_minimum():
    start = torch.tensor([[[-0.7, 0.3, 0.2]], [[0.6, -0.2, 0.1]]], dtype=torch.float64)
    found = relax_points(Landscape(double_well), start, SETTINGS)
    assert found.positions[:, 0].flatten().tolist() == pytest.approx([-1, 0, 0, 1, 0, 0], abs=5e-3)
    assert found.energies.flatten().tolist() == pytest.approx([-1, -1], abs=1e-4)


def test_too_few_steps_leave_a_residual_that_says_so():
    found = relax_chains(Landscape(double_well), line([-1, 0, 0], [1, 0, 0]), NebSettings(max_steps=3))
    assert found.steps.tolist() == [3]
    assert found.residual[0] > 0.01


def test_rows_that_are_done_leave_the_batch_as_they_were_alone():
    """A hop that takes long changes nothing for one that is done soon."""
    quick, slow = line([-1, 0, 0], [1, 0, 0]), line([-1.3, 0.9, 0.8], [1.2, -0.7, 0.9])
    together = relax_chains(Landscape(double_well), torch.cat([quick, slow, quick]), SETTINGS)
    for row, chain in enumerate((quick, slow, quick)):
        alone = relax_chains(Landscape(double_well), chain, SETTINGS)
        assert torch.allclose(alone.positions[0], together.positions[row], atol=1e-12, rtol=0)
        assert alone.steps[0] == together.steps[row]
    assert len(set(together.steps.tolist())) == 2
