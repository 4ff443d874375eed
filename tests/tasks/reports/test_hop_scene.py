"""Polyhedra on paper: their edges, one view, and labels that cover nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tasks.reports.hop_scene import best_view, flattened, hull, place_labels
from tests.campaigns import antifluorite
from tests.tasks.reports.hops import hop_record, stored_hops

LABEL_ANG, DISC_ANG = (0.7, 0.25), 0.15
OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
CUBE = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
TETRAHEDRON = CUBE[[0, 3, 5, 6]]


@pytest.fixture(scope="module")
def hop(candidate_of):
    candidate = candidate_of(antifluorite("Li", "O", 4.62))
    rows, _ = stored_hops(candidate, path="straight")
    return hop_record(candidate, rows[0])


class TestHull:
    @pytest.mark.parametrize(
        ("corners", "n_edges", "length"),
        [(OCTAHEDRON, 12, np.sqrt(2)), (CUBE, 12, 2.0), (TETRAHEDRON, 6, 2 * np.sqrt(2))],
    )
    def test_edges_of_regular_shapes(self, corners, n_edges, length):
        turned = corners @ np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0] + [5.0, -3.0, 2.0]
        edges, faces = hull(turned)
        assert len(edges) == n_edges
        assert faces
        for a, b in edges:
            assert a < b
            assert np.linalg.norm(turned[a] - turned[b]) == pytest.approx(length)

    def test_flat_shapes_are_their_outline(self):
        edges, faces = hull(OCTAHEDRON[:4])
        assert set(edges) == {(0, 2), (0, 3), (1, 2), (1, 3)}
        assert sorted(faces[0]) == [0, 1, 2, 3]
        assert set(hull(OCTAHEDRON[[0, 2, 4]])[0]) == {(0, 1), (0, 2), (1, 2)}

    def test_few_corners_and_corners_on_a_line(self):
        assert hull(OCTAHEDRON[:1]) == ((), ())
        assert hull(OCTAHEDRON[:2]) == (((0, 1),), ())
        assert hull(np.outer([0.0, 2.0, 1.0], [1.0, 1.0, 0.0])) == (((0, 2), (1, 2)), ())


class TestView:
    def test_the_hop_runs_from_left_to_right(self, hop):
        axes = best_view(hop, ("initial", "transition"))
        assert axes @ axes.T == pytest.approx(np.eye(3))
        points = hop["path"]["points"]
        right, up, _ = axes @ np.subtract(points[-1]["position_ang"], points[0]["position_ang"])
        assert right > 0.85 * hop["distance_ang"]
        assert up == pytest.approx(0.0, abs=1e-9)

    def test_ion_and_anions_stand_apart(self, hop):
        axes = best_view(hop, ("initial", "transition"))
        for name in ("initial", "transition"):
            state = hop["states"][name]
            places = [state["position_ang"], *(anion["position_ang"] for anion in state["anions"])]
            flat = np.array(places) @ axes[:2].T
            assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(flat, 2)) > 0.5

    def test_both_states_lie_as_they_do_in_the_crystal(self, hop):
        axes = best_view(hop, ("initial", "transition"))
        for name in ("initial", "transition"):
            drawn = flattened(hop, name, axes, LABEL_ANG, DISC_ANG)
            distances = [anion["distance_ang"] for anion in hop["states"][name]["anions"]]
            assert np.linalg.norm(drawn.anions_ang - drawn.ion_ang, axis=1) == pytest.approx(distances)
            assert np.linalg.norm(drawn.path_ang[-1] - drawn.path_ang[0]) == pytest.approx(
                hop["distance_ang"]
            )
            assert [label.text for label in drawn.labels] == [f"O {d:.2f}" for d in distances]


class TestLabels:
    @pytest.mark.parametrize("corners", [OCTAHEDRON, CUBE, TETRAHEDRON])
    def test_labels_cover_neither_spots_nor_each_other(self, corners):
        turned = 2.0 * corners @ np.linalg.qr(np.random.default_rng(8).normal(size=(3, 3)))[0]
        spots = np.vstack([np.zeros(3), turned])[:, :2]
        labels = place_labels(spots, ["O 2.00"] * len(corners), LABEL_ANG, DISC_ANG)
        half = np.array(LABEL_ANG) / 2
        for one, other in itertools.combinations(labels, 2):
            assert (np.abs(one.at_ang - other.at_ang) >= 2 * half - 1e-9).any()
        for label in labels:
            gaps = np.maximum(np.abs(spots - label.at_ang) - half, 0.0)
            assert np.linalg.norm(gaps, axis=1).min() > 0.9 * DISC_ANG

    def test_a_label_stands_by_its_own_spot(self):
        spots = np.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]])
        right, left = place_labels(spots, ["a", "b"], LABEL_ANG, DISC_ANG)
        assert (right.text, left.text) == ("a", "b")
        assert right.at_ang[0] > 2.0
        assert left.at_ang[0] < -2.0
        assert not right.led
