"""From crystal to barrier: the same crystal, however it is written down, gets the same barriers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from models.checkpoints import load_pretrained
from tasks.candidates import reference
from tasks.candidates.cleaning import CleaningSettings, clean, load_charges, load_structure
from tasks.candidates.source import RawMaterial
from tasks.descriptors.assemble import INPUT_SPEC, describe_batch
from tasks.featurizing import featurize
from tasks.hops.path import hop_environment
from tasks.percolating import Residuals, percolate_all
from tasks.stage_keys import HopSettings, PercolationSettings
from tasks.workers import prediction_rows

if TYPE_CHECKING:
    from models.checkpoints import Checkpoint
    from storage.records import Candidate, Percolation

# Coordinates are stored to six decimals, so two frames agree to about that.
SAME = 1e-4
MATERIALS = ("ref-lifepo4", "ref-licoo2", "ref-limn2o4", "ref-li2mno3", "ref-livpo4f")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_pretrained("published", expected=INPUT_SPEC)


def candidate_of(structure: Structure) -> Candidate:
    return clean(RawMaterial("x", structure, "files"), CleaningSettings(), "key")


def outcome(structure: Structure, checkpoint: Checkpoint) -> tuple[list[float], Percolation]:
    """Return the barriers of a crystal's hops, ascending, and its percolation."""
    candidate = candidate_of(structure)
    done = featurize([candidate], HopSettings(), "shard", None)
    predictions = prediction_rows(done.keys, checkpoint.predict_plain(done.groups), checkpoint)
    residuals = Residuals(
        checkpoint.calibration.hop_residual_log_std, checkpoint.calibration.material_residual_log_std
    )
    found = percolate_all([candidate], done.hops, predictions, PercolationSettings(draws=50), residuals)
    return sorted(row.barrier_ev for row in predictions), found.rows[0]


def rotated(structure: Structure) -> Structure:
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return Structure(Lattice(structure.lattice.matrix @ rotation.T), structure.species, structure.frac_coords)


def shuffled_and_shifted(structure: Structure) -> Structure:
    order = np.random.default_rng(2).permutation(len(structure))
    moved = structure.frac_coords[order] + [0.123, 0.456, 0.789]
    return Structure(structure.lattice, [structure[k].specie for k in order], moved)


def axes_swapped(structure: Structure) -> Structure:
    matrix = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    return Structure(
        Lattice(matrix @ structure.lattice.matrix), structure.species, structure.frac_coords @ matrix.T
    )


WAYS = {
    "rotated": rotated,
    "shuffled and shifted": shuffled_and_shifted,
    "axes swapped": axes_swapped,
    "supercell": lambda structure: structure * (1, 1, 2),
}


@pytest.mark.parametrize("material", MATERIALS)
def test_barriers_do_not_depend_on_how_a_crystal_is_written(material: str, checkpoint: Checkpoint) -> None:
    structure = reference.structure(reference.get(material))
    barriers, percolation = outcome(structure, checkpoint)
    for way, change in WAYS.items():
        other_barriers, other = outcome(change(structure), checkpoint)
        assert other_barriers == pytest.approx(barriers, rel=SAME), way
        assert other.percolation_dim == percolation.percolation_dim, way
        assert other.barrier_at_dim_ev == pytest.approx(percolation.barrier_at_dim_ev, rel=SAME), way
        assert other.n_hops == percolation.n_hops, way


def test_barriers_do_not_depend_on_the_direction_of_a_hop(checkpoint: Checkpoint) -> None:
    candidate = candidate_of(reference.structure(reference.get("ref-livpo4f")))
    structure, charges = load_structure(candidate), load_charges(candidate)
    done = featurize([candidate], HopSettings(), "shard", None)
    pairs = []
    for hop in done.keys:
        image = (hop.ox, hop.oy, hop.oz)
        back = (-hop.ox, -hop.oy, -hop.oz)
        forward = hop_environment(structure, charges, hop.i, hop.j, image, working_ion="Li")
        reverse = hop_environment(structure, charges, hop.j, hop.i, back, working_ion="Li")
        upside_down = replace(forward, path_ang=forward.path_ang[::-1].copy())
        pairs.append((forward, reverse, upside_down))
    columns = [
        checkpoint.predict_plain(describe_batch(column)).barrier_ev for column in zip(*pairs, strict=True)
    ]
    assert len(columns[0]) > 1
    np.testing.assert_allclose(columns[1], columns[0], rtol=SAME)
    np.testing.assert_allclose(columns[2], columns[0], rtol=SAME)
