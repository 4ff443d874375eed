"""The lowest pass out of a place, against other searches; the sites tests cover the search for minima."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from tasks.hops.bvse import pair_parameters, site_energy_ev
from tasks.hops.minima import PeriodicHost, Surroundings, lowest_pass_ev
from tasks.hops.path import images_in_box


def fluorine_cube(edge_ang, turned=None):
    lattice = np.eye(3) * edge_ang if turned is None else edge_ang * turned.as_matrix()
    parameters = pair_parameters("Li", np.array([9]), np.array([-1.0]))
    return PeriodicHost(lattice, np.zeros((1, 3)), parameters)


def energy_of(host):
    """Sum over all atoms within 10 Å of the cell."""
    sites, shifts = images_in_box(host.frac, host.lattice, np.array([[0.0] * 3, [1.0] * 3]), 10.0)
    parameters = pair_parameters("Li", np.full(len(sites), 9), np.full(len(sites), -1.0))
    coords_ang = (host.frac[sites] + shifts) @ host.lattice
    return lambda places_ang: site_energy_ev(places_ang, coords_ang, parameters)


@pytest.mark.parametrize("place", [[0.5, 0.5, 0.5], [0.45, 0.52, 0.41]])
@pytest.mark.parametrize("radius_ang", [0.4, 0.7])
def test_it_is_the_lowest_over_all_directions(place, radius_ang):
    host = fluorine_cube(2.6)
    place_ang = np.array(place) @ host.lattice
    radii_ang = np.linspace(0.05, radius_ang, 30)
    energy = energy_of(host)

    def top_ev(way):
        return energy(place_ang + way / np.linalg.norm(way) * radii_ang[:, None]).max()

    starts = np.random.default_rng(2).normal(size=(60, 3))
    best = sorted(starts, key=top_ev)[:3]
    options = {"xatol": 1e-3, "fatol": 1e-5}
    expected_ev = min(minimize(top_ev, way, method="Nelder-Mead", options=options).fun for way in best)
    assert lowest_pass_ev(Surroundings(host), place_ang, radius_ang) == pytest.approx(expected_ev, abs=1e-3)


def test_out_of_a_cube_it_runs_through_the_middles_of_faces():
    host = fluorine_cube(2.4)
    middle_ang = np.full(3, 1.2)
    face_ev = energy_of(host)(np.array([[1.2, 1.2, 2.4]]))[0]
    assert lowest_pass_ev(Surroundings(host), middle_ang, 1.2) == pytest.approx(face_ev, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_frame_does_not_matter(seed):
    place, passes_ev = np.array([0.45, 0.52, 0.41]), []
    for turned in (None, Rotation.random(random_state=seed)):
        host = fluorine_cube(2.6, turned)
        passes_ev.append(lowest_pass_ev(Surroundings(host), place @ host.lattice, 0.7))
    assert passes_ev[0] == pytest.approx(passes_ev[1], abs=1e-3)
