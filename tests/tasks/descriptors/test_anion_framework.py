"""Packing of anions against closed forms of ideal lattices, and bond order against spherical harmonics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import sph_harm_y

from tasks.descriptors.anion_framework import anion_framework, bond_order
from tasks.descriptors.profile import hoppe_weights
from tasks.descriptors.scene import survey

SIX = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
EIGHT = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3.0)
GRID = np.array([[x, y, z] for x in range(-9, 10) for y in range(-9, 10) for z in range(-9, 10)], dtype=float)
TWELVE = GRID[(np.abs(GRID).sum(axis=1) == 2) & (np.abs(GRID).max(axis=1) == 1)] / np.sqrt(2.0)

SIGNED = {6: (np.sqrt(21.0) / 6.0, np.sqrt(2.0) / 4.0), 8: (-np.sqrt(21.0) / 9.0, 4.0 * np.sqrt(2.0) / 9.0),
          12: (-np.sqrt(21.0) / 24.0, -13.0 * np.sqrt(2.0) / 32.0)}  # fmt: skip
"""q4 and q6 of octahedron, cube and cuboctahedron; shells about one centre add with these signs."""


def order(units, weights=None):
    weights = np.ones(len(units)) if weights is None else weights
    q4, q6 = bond_order(units[None], np.asarray(weights, dtype=float)[None])
    return float(q4[0]), float(q6[0])


@pytest.mark.parametrize("shell", [SIX, EIGHT, TWELVE], ids=["octahedron", "cube", "cuboctahedron"])
def test_closed_forms_of_cubic_shells(shell):
    assert order(shell) == pytest.approx(np.abs(SIGNED[len(shell)]))


def test_hexagonal_packing_differs_from_cubic():
    layer = np.array([[np.cos(a), np.sin(a), 0.0] for a in np.pi / 3.0 * np.arange(6)])
    cap = np.array([[np.cos(a), np.sin(a), np.sqrt(2.0)] for a in np.pi / 6.0 + np.pi / 1.5 * np.arange(3)])
    cap /= np.sqrt(3.0)
    assert order(np.concatenate([layer, cap, cap * [1, 1, -1]])) == pytest.approx((0.0972, 0.4848), abs=1e-4)
    assert order(np.concatenate([layer, cap, -cap])) == pytest.approx((0.1909, 0.5745), abs=1e-4)


def test_body_centred_shells_of_fourteen():
    assert order(np.concatenate([SIX, EIGHT])) == pytest.approx((0.0364, 0.5107), abs=1e-4)


def test_spherical_harmonics_give_the_same():
    rng = np.random.default_rng(0)
    units = rng.normal(size=(17, 3))
    units /= np.linalg.norm(units, axis=1)[:, None]
    weights = rng.uniform(0.1, 1.0, 17)
    polar, azimuth = np.arccos(units[:, 2]), np.arctan2(units[:, 1], units[:, 0])
    for degree, got in zip((4, 6), order(units, weights), strict=True):
        means = [
            (weights * sph_harm_y(degree, m, polar, azimuth)).sum() / weights.sum()
            for m in range(-degree, degree + 1)
        ]
        expected = np.sqrt(4.0 * np.pi / (2 * degree + 1) * np.sum(np.abs(means) ** 2))
        assert got == pytest.approx(expected)


def lattice(name, spacing):
    """Anions of an ideal lattice around the origin, which is a hole in it."""
    if name == "fcc":
        points = GRID[GRID.sum(axis=1) % 2 == 1] * spacing / np.sqrt(2.0)
    else:
        cells = GRID[np.ptp(GRID % 2, axis=1) == 0]
        points = (cells + np.array([1.0, 0.5, 0.0])) * spacing / np.sqrt(3.0)
    return points[np.linalg.norm(points, axis=1) < 11.0]


SHELLS = {"fcc": ((12, 1.0), (6, np.sqrt(2.0))), "bcc": ((8, 1.0), (6, 2.0 / np.sqrt(3.0)))}


@pytest.mark.parametrize("name", ["fcc", "bcc"])
@pytest.mark.parametrize("spacing", [2.8, 3.3])
def test_ideal_lattices(place, name, spacing):
    found = anion_framework(survey(place([0.0, 0.0, 0.0], [0.7, 0.8, 0.9], lattice(name, spacing))))
    # Third shells (24 at 1.73, 12 at 1.63 spacings) weigh 1e-10 and 1e-5.
    shells = SHELLS[name]
    distances = spacing * np.concatenate([np.full(n, ratio) for n, ratio in shells])
    fade = np.clip(distances - 4.0, 0.0, 1.0)
    weights, _ = hoppe_weights(distances[None, :], 0.5 * (1.0 + np.cos(np.pi * fade))[None, :])
    total = weights.sum()
    by_shell = [weights[0, 0] * shells[0][0], weights[0, -1] * shells[1][0]]
    expected = np.abs(
        sum(w / total * np.array(SIGNED[n]) for w, (n, _) in zip(by_shell, shells, strict=True))
    )
    assert found["anion_anion_ang"] == pytest.approx(spacing)
    assert found["anion_neighbours"] == pytest.approx(total, abs=2e-3)
    assert (found["anion_q4"], found["anion_q6"]) == pytest.approx(tuple(expected), abs=1e-3)


def test_lattices_are_told_apart(place):
    fcc, bcc = (
        anion_framework(survey(place([0.0, 0.0, 0.0], [0.7, 0.8, 0.9], lattice(name, 2.8))))
        for name in ("fcc", "bcc")
    )
    assert fcc["anion_neighbours"] == pytest.approx(12.0, abs=0.1)
    assert (fcc["anion_q4"], fcc["anion_q6"]) == pytest.approx((0.191, 0.574), abs=2e-3)
    assert abs(bcc["anion_q4"] - fcc["anion_q4"]) > 0.05


def test_mean_over_anions_as_by_a_loop(place):
    rng = np.random.default_rng(6)
    anions = rng.uniform(-8.0, 8.0, (150, 3))
    env = place([-1.0, 0.2, 0.1], [1.2, -0.3, 0.4], anions)
    nearest, order_4, shares = [], [], []
    for k, here in enumerate(anions):
        to_path = min(np.linalg.norm(here - point) for point in env.path_ang)
        if to_path >= 3.0:
            continue
        others = np.delete(anions, k, axis=0)
        apart = np.linalg.norm(others - here, axis=1)
        others, apart = others[apart < 5.0], apart[apart < 5.0]
        switch = np.array([1.0 if d < 4.0 else 0.5 * (1.0 + np.cos(np.pi * (d - 4.0))) for d in apart])
        weights, _ = hoppe_weights(apart[None, :], switch[None, :])
        nearest.append(apart.min())
        order_4.append(order((others - here) / apart[:, None], weights[0])[0])
        shares.append(0.5 * (1.0 + np.cos(np.pi * to_path / 3.0)))
    found = anion_framework(survey(env))
    assert found["anion_anion_ang"] == pytest.approx(np.average(nearest, weights=shares))
    assert found["anion_q4"] == pytest.approx(np.average(order_4, weights=shares), abs=1e-6)


def test_anions_out_of_reach_are_masked(place):
    lone = anion_framework(survey(place([0, 0, 0], [0, 0, 3], np.array([[2.0, 0.0, 0.0]]))))
    far = anion_framework(survey(place([0, 0, 0], [0, 0, 3], np.array([[4.0, 0, 0], [-4.0, 0, 0]]))))
    apart = anion_framework(survey(place([0, 0, 0], [0, 0, 3], np.array([[2.9, 0, 0], [-2.9, 0, 0]]))))
    for found in (lone, far, apart):
        assert np.isnan(list(found.values())).all()


def test_rounding_does_not_matter(place):
    rng = np.random.default_rng(1)
    for name in ("fcc", "bcc"):
        env = place([0.0, 0.0, 0.0], [0.7, 0.8, 0.9], lattice(name, 2.8))
        noise = rng.uniform(-1e-7, 1e-7, env.coords_ang.shape)
        moved = anion_framework(survey(replace(env, coords_ang=env.coords_ang + noise)))
        assert moved == pytest.approx(anion_framework(survey(env)), abs=1e-5)
