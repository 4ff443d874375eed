"""Relaxed paths: the rules for ends, splits, missing parameters and strays, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tasks.hops import relax
from tasks.hops.bvse import pair_parameters, site_energy_ev
from tasks.hops.chains import SPLIT_EV, STRAY_ANG, distance_to_line
from tasks.hops.field import Field
from tasks.hops.neb import NebSettings
from tasks.hops.network import hop_network
from tasks.hops.relax import CONVERGED_EV_ANG, LEAVES_SITE_ANG, relax_paths
from tests.tasks.hops.rigid_hosts import IRON, OXYGEN, hop_of, made_up, octahedron

SAME_EV = 1e-4
CRYSTALS = ("LiFePO4", "LiCoO2", "LiMn2O4", "Li2MnO3")


@pytest.fixture(scope="module")
def envs(structures):
    """Up to four hops of each of four crystals."""
    return [
        hop_of(structures[name], which)
        for name in CRYSTALS
        for which in range(min(4, len(hop_network(structures[name], "Li").hops)))
    ]


@pytest.fixture(scope="module")
def paths(envs):
    return relax_paths(envs)


def energy(env, points):
    parameters = pair_parameters(env.working_ion, env.numbers, env.charges)
    return site_energy_ev(np.atleast_2d(points), env.coords_ang, parameters)


def slope(env, point):
    step = 1e-5 * np.eye(3)
    return (energy(env, point + step) - energy(env, point - step)) / 2e-5


def barriers(found):
    return [path.barrier_ev for path in found]


def two_octahedra(separation=4.0):
    """Two oxygen octahedra that share a corner, with the corner taken out: a way from one to the other."""
    half = separation / 2
    left = octahedron((-half, 0, 0), skip=[(1, 0, 0)])
    return left | octahedron((half, 0, 0), skip=[(-1, 0, 0)])


class TestPaths:
    def test_ends_are_minima_and_saddles_are_stationary(self, envs, paths):
        for env, path in zip(envs, paths, strict=True):
            if path.kind != "bvse":
                continue
            for point in (path.positions_ang[0], path.positions_ang[-1], path.saddle_ang):
                assert np.linalg.norm(slope(env, point)) < 2 * CONVERGED_EV_ANG

    def test_barriers_are_the_slow_energies_at_saddle_and_ends(self, envs, paths):
        for env, path in zip(envs, paths, strict=True):
            start, top, end = energy(
                env, np.array([path.positions_ang[0], path.saddle_ang, path.positions_ang[-1]])
            )
            assert path.barrier_forward_ev == pytest.approx(top - start, abs=1e-6)
            assert path.barrier_reverse_ev == pytest.approx(top - end, abs=1e-6)
            assert path.barrier_ev == pytest.approx(top - min(start, end), abs=1e-6)

    def test_profile_is_the_slow_energy_along_evenly_spaced_points(self, envs, paths):
        for env, path in zip(envs, paths, strict=True):
            slow = energy(env, path.positions_ang)
            assert path.positions_ang.shape == (21, 3)
            assert path.energies_ev == pytest.approx(slow - min(slow[0], slow[-1]), abs=1e-6)
            steps = np.linalg.norm(np.diff(path.positions_ang, axis=0), axis=1)
            # By chords of the images: where these are unevenly spaced, so is the curve a little.
            assert steps == pytest.approx(steps.mean(), rel=0.2)
            assert path.energies_ev.max() <= path.barrier_ev + 0.02

    def test_a_relaxed_path_climbs_no_higher_than_the_straight_one(self, envs, paths):
        for env, path in zip(envs, paths, strict=True):
            line = energy(env, np.linspace(env.path_ang[0], env.path_ang[-1], 501))
            low = energy(env, path.positions_ang[[0, -1]]).min()
            assert path.barrier_ev <= line.max() - low + 1e-6

    def test_all_of_these_converge(self, paths):
        assert all(path.converged for path in paths)
        assert {path.kind for path in paths} <= {"bvse", "bvse_fixed_ends"}


class TestInvariance:
    def test_direction(self, envs, paths):
        back = relax_paths([replace(env, path_ang=env.path_ang[::-1].copy()) for env in envs])
        assert barriers(back) == pytest.approx(barriers(paths), abs=SAME_EV)
        for there, here in zip(back, paths, strict=True):
            assert there.barrier_forward_ev == pytest.approx(here.barrier_reverse_ev, abs=SAME_EV)
            assert there.collapsed == here.collapsed

    def test_rotation_translation_and_order(self, envs, paths):
        random = np.random.default_rng(5)
        turn, shift = np.linalg.qr(random.normal(size=(3, 3)))[0], np.array([11.0, -7.0, 3.0])
        moved = []
        for env in envs:
            order = random.permutation(len(env.numbers))
            moved.append(
                replace(
                    env,
                    path_ang=env.path_ang @ turn + shift,
                    coords_ang=(env.coords_ang @ turn + shift)[order],
                    numbers=env.numbers[order],
                    charges=env.charges[order],
                )
            )
        assert barriers(relax_paths(moved)) == pytest.approx(barriers(paths), abs=SAME_EV)

    def test_batch(self, envs, paths):
        alone = [relax_paths([env])[0] for env in envs]
        assert barriers(alone) == pytest.approx(barriers(paths), abs=SAME_EV)
        assert [path.kind for path in alone] == [path.kind for path in paths]

    def test_atoms_out_of_reach(self, structures):
        near, far = (relax_paths([hop_of(structures["LiFePO4"], radius_ang=r)])[0] for r in (9.0, 14.0))
        assert np.array_equal(near.positions_ang, far.positions_ang)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
    def test_device(self, envs, paths):
        assert barriers(relax_paths(envs, device="cuda")) == pytest.approx(barriers(paths), abs=SAME_EV)


class TestEnds:
    def test_an_end_that_leaves_its_site_marks_the_hop_collapsed(self):
        """The start stands 1.2 Å beside the middle of its octahedron, and slides there when it may."""
        env = made_up(two_octahedra(), (-2.0, 1.2, 0.0), (2.0, 0.0, 0.0))
        path = relax_paths([env])[0]
        assert path.collapsed
        assert path.kind == "bvse_fixed_ends"
        assert path.end_shift_ang > LEAVES_SITE_ANG
        assert path.positions_ang[[0, -1]] == pytest.approx(env.path_ang[[0, -1]], abs=1e-9)

    def test_an_end_that_comes_nearer_to_another_site_collapses_too(self):
        atoms = two_octahedra() | {(-2.0, -0.4, 0.0): (3, 0.0)}
        env = made_up(atoms, (-2.0, 0.5, 0.0), (2.0, 0.0, 0.0))
        path = relax_paths([env])[0]
        assert path.end_shift_ang < LEAVES_SITE_ANG
        assert path.collapsed
        elsewhere = made_up(
            two_octahedra() | {(-2.0, -3.0, 3.0): (3, 0.0)}, (-2.0, 0.5, 0.0), (2.0, 0.0, 0.0)
        )
        assert not relax_paths([elsewhere])[0].collapsed

    def test_an_end_that_moves_a_little_keeps_its_hop(self):
        env = made_up(two_octahedra(), (-2.0, 0.3, 0.0), (2.0, 0.0, 0.0))
        path = relax_paths([env])[0]
        assert path.kind == "bvse"
        assert not path.collapsed
        assert 0.0 < path.end_shift_ang < LEAVES_SITE_ANG
        assert np.linalg.norm(slope(env, path.positions_ang[0])) < 2 * CONVERGED_EV_ANG


class TestSplit:
    def three_octahedra(self, middle=2.0):
        """A third octahedron between the two, its corners on the way taken out."""
        return (
            octahedron((-4, 0, 0), skip=[(1, 0, 0)])
            | octahedron((0, 0, 0), side=middle, skip=[(1, 0, 0), (-1, 0, 0)])
            | octahedron((4, 0, 0), skip=[(-1, 0, 0)])
        )

    def test_a_deep_minimum_on_the_way_splits_and_both_saddles_are_exact(self):
        env = made_up(self.three_octahedra() | {(2.0, 2.5, 0.0): (IRON, 2.0)}, (-4, 0, 0), (4, 0, 0))
        path = relax_paths([env])[0]
        assert path.kind == "bvse"
        assert path.converged
        assert len(path.intermediates_ang) == 1
        minimum = path.intermediates_ang[0]
        assert np.linalg.norm(slope(env, minimum)) < 2 * CONVERGED_EV_ANG
        kinds = [extremum.kind for extremum in path.extrema]
        assert kinds == ["maximum", "minimum", "maximum"]
        lows = energy(env, np.array([path.positions_ang[0], minimum, path.positions_ang[-1]]))
        depth = min(path.extrema[0].energy_ev, path.extrema[2].energy_ev) - path.extrema[1].energy_ev
        assert depth > SPLIT_EV
        # Each part alone, from its own end to the minimum, has the same saddle.
        for part, (a, b) in enumerate(((path.positions_ang[0], minimum), (minimum, path.positions_ang[-1]))):
            alone = relax_paths([made_up(self._atoms(env), a, b)])[0]
            top = path.extrema[2 * part].energy_ev + min(lows[0], lows[2])
            assert alone.barrier_ev + lows[part : part + 2].min() == pytest.approx(top, abs=2e-3)
        tops = [path.extrema[0].energy_ev, path.extrema[2].energy_ev]
        assert tops[0] != pytest.approx(tops[1], abs=0.01)
        assert path.barrier_ev == pytest.approx(max(tops), abs=2e-3)

    def _atoms(self, env):
        kinds = zip(env.numbers.tolist(), env.charges.tolist(), strict=True)
        return dict(zip(map(tuple, env.coords_ang.tolist()), kinds, strict=True))

    def test_a_plain_barrier_is_not_split(self):
        path = relax_paths([made_up(two_octahedra(), (-2, 0, 0), (2, 0, 0))])[0]
        assert len(path.intermediates_ang) == 0
        assert [extremum.kind for extremum in path.extrema] == ["maximum"]
        assert path.saddle_fraction == pytest.approx(0.5, abs=0.02)


class TestWithoutParameters:
    def test_the_straight_path_stays_and_names_what_is_missing(self):
        atoms = {(0.0, 2.0, 0.0): (7, -3.0), (0.0, -2.0, 0.0): (OXYGEN, -2.0)}
        env = made_up(atoms, (-1.5, 0, 0), (1.5, 0, 0), ion="Na")
        path = relax_paths([env])[0]
        assert path.kind == "straight"
        assert path.missing == ("Na-N3-",)
        assert path.converged is None
        assert np.isnan([path.barrier_ev, path.barrier_forward_ev, path.residual_force_ev_ang]).all()
        assert np.isnan(path.energies_ev).all()
        assert np.array_equal(path.positions_ang, env.path_ang)
        assert path.saddle_ang == pytest.approx([0, 0, 0])

    def test_it_keeps_its_place_among_others(self, envs):
        odd = made_up({(0.0, 2.0, 0.0): (OXYGEN, -2.0)}, (-1.5, 0, 0), (1.5, 0, 0), ion="Rb")
        found = relax_paths([envs[0], odd, envs[1]])
        assert [path.missing for path in found] == [(), ("Rb",), ()]
        assert barriers(relax_paths(envs[:2])) == pytest.approx([found[0].barrier_ev, found[2].barrier_ev])

    def test_nothing_gives_nothing(self):
        assert relax_paths([]) == []


class TestSecondTry:
    def test_what_does_not_converge_is_tried_again_with_care(self, envs, paths):
        hasty = NebSettings(max_steps=30)
        assert not all(path.residual_force_ev_ang <= CONVERGED_EV_ANG for path in self.once(envs, hasty))
        again = relax_paths(envs, hasty)
        assert all(path.converged for path in again)
        assert barriers(again) == pytest.approx(barriers(paths), abs=0.01)

    def once(self, envs, settings):
        waiting = [(k, relax._work(env)) for k, env in enumerate(envs)]
        return [path for _, path in relax._relax_all(envs, waiting, settings, "cpu", 300_000)]


class TestStrays:
    def test_a_path_that_runs_away_comes_back_straight_and_not_converged(self):
        """Between two sites stands a ball of iron, which pushes the band out into the open."""
        grid = np.arange(-4, 5) + 0.1
        points = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
        ball = {tuple(point): (IRON, 2.0) for point in points[np.linalg.norm(points, axis=1) < 2.6].tolist()}
        env = made_up(ball | octahedron((-4.5, 0, 0)) | octahedron((4.5, 0, 0)), (-4.5, 0, 0), (4.5, 0, 0))
        path = relax_paths([env])[0]
        assert path.kind == "straight"
        assert path.converged is False
        assert path.missing == ()
        assert np.isnan(path.barrier_ev)
        assert np.isnan(path.energies_ev).all()
        assert np.array_equal(path.positions_ang, env.path_ang)
        assert path.steps > 0
        assert np.isfinite(path.residual_force_ev_ang)

    def test_paths_that_are_kept_lie_within_the_bound(self, envs, paths):
        for env, path in zip(envs, paths, strict=True):
            away = distance_to_line(path.positions_ang, env.path_ang[0], env.path_ang[-1])
            assert away.max() <= STRAY_ANG


class TestMemory:
    def test_a_large_batch_is_worked_off_in_chunks_within_the_bound(self, envs, monkeypatch):
        sizes = []

        class Counting(Field):
            def __init__(self, hosts, device):
                sizes.append((len(hosts), max(host.n_atoms for host in hosts)))
                super().__init__(hosts, device)

        monkeypatch.setattr(relax, "Field", Counting)
        many = [envs[k % len(envs)] for k in range(40)]
        bound = 40_000
        found = relax_paths(many, max_entries=bound)
        assert sum(hops for hops, _ in sizes) == 40
        assert len(sizes) > 5
        assert all(hops == 1 or hops * atoms * 11 <= bound for hops, atoms in sizes)
        assert barriers(found)[: len(envs)] == pytest.approx(barriers(relax_paths(envs)), abs=SAME_EV)

    def test_a_hop_larger_than_the_bound_is_done_alone(self, envs, paths):
        assert barriers(relax_paths(envs[:2], max_entries=1)) == pytest.approx(
            barriers(paths[:2]), abs=SAME_EV
        )
