"""Generated results of a screening, as Arrow tables: the right columns, sizes and keys, and no chemistry."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.columns import arrow_schema, conform
from storage.records import Candidate, Hop, Percolation, Prediction, RunMaterial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.records import Row

HOPS_A_MATERIAL = 20
MEMBERS = 5
SITES = 24
"""Sites of a generated structure: its JSON then is about as long as that of a common cathode."""

RUN_ID = "bench"
PATH_POINTS = 21
"""Points of a relaxed path, as a screening keeps them."""

SHORTEST_ANG, LONGEST_ANG = 2.5, 6.0
LEAST_EV, MOST_EV = 0.1, 3.0


@dataclass(frozen=True)
class Block:
    """Materials from `first` to before `first + count`."""

    first: int
    count: int

    @property
    def names(self) -> list[str]:
        """Identifiers of the materials."""
        return [f"bench-{number:07d}" for number in range(self.first, self.first + self.count)]


def tables(block: Block, seed: int = 0, *, relaxed: bool = False) -> dict[str, pa.Table]:
    """Return the rows that a screening leaves of a block of materials, by table.

    Parameters
    ----------
    block : Block
        Which materials. Blocks that do not overlap hold different keys.
    seed : int
        Of the numbers that are drawn.
    relaxed : bool
        Whether hops carry a relaxed path, or are straight and carry none.

    Returns
    -------
    dict of str to pyarrow.Table
        Tables that conform to the row types.
    """
    random = np.random.default_rng([seed, block.first])
    return {
        Candidate.table: _candidates(block, random),
        Hop.table: _hops(block, random, relaxed=relaxed),
        Prediction.table: _predictions(block, random),
        Percolation.table: _percolation(block, random),
        RunMaterial.table: _run_materials(block),
    }


def _table(row_type: type[Row], n_rows: int, columns: Mapping[str, object]) -> pa.Table:
    """Return a table of the given columns; a scalar stands in every row, and what is not given is null."""
    arrays = {}
    for field in arrow_schema(row_type):
        value = columns.get(field.name)
        many = isinstance(value, (list, np.ndarray, pa.Array))
        arrays[field.name] = pa.array(value if many else [value] * n_rows, type=field.type)
    return conform(pa.table(arrays), row_type)


def _lists(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[list[float]]:
    found: list[list[float]] = values.tolist()
    return found


def hash_of(name: str) -> str:
    """Return the digest of a material's structure: in no order, and as long as a real one."""
    return hashlib.sha256(name.encode()).hexdigest()


def _hashes(block: Block) -> list[str]:
    return [hash_of(name) for name in block.names]


def _keys(block: Block, stage: str) -> list[str]:
    return [hash_of(f"{stage} {name}") for name in block.names]


def _spread(values: Sequence[str]) -> list[str]:
    """Return each value once a hop."""
    return [value for value in values for _ in range(HOPS_A_MATERIAL)]


def _hop_keys(block: Block, stage: str) -> dict[str, object]:
    """Return the columns that name a hop."""
    ends = np.arange(HOPS_A_MATERIAL)
    edges = [f"{name}_0_{end}_0_0_1" for name in block.names for end in ends]
    return {
        "structure_hash": _spread(_hashes(block)),
        "working_ion": "Li",
        "edge_id": edges,
        "i": 0,
        "j": np.tile(ends, block.count),
        "ox": 0,
        "oy": 0,
        "oz": 1,
        "vacancy": "",
        "stage_key": _spread(_keys(block, stage)),
    }


def _candidates(block: Block, random: np.random.Generator) -> pa.Table:
    site = '{"species":[{"element":"O","occu":1}],"abc":[0.123456,0.234567,0.345678],"label":"O"}'
    structure = '{"lattice":{"matrix":[[5,0,0],[0,5,0],[0,0,5]]},"sites":[' + ",".join([site] * SITES) + "]}"
    volume_ang3 = random.uniform(60, 900, block.count)
    columns = {
        "structure_hash": _hashes(block),
        "material_id": block.names,
        "material_key": _hashes(block),
        "source": "bench",
        "formula": [f"LiX{number}O2" for number in range(block.count)],
        "name": block.names,
        "working_ion": "Li",
        "state": "discharged",
        "n_sites": SITES,
        "n_working_ions": 4,
        "volume_ang3": volume_ang3,
        "structure_json": structure,
        "oxidation_states": _lists(random.uniform(-2, 5, (block.count, SITES))),
        "e_above_hull_ev": random.uniform(0, 0.2, block.count),
        "capacity_mah_g": random.uniform(50, 400, block.count),
        "stage_key": _keys(block, "candidates"),
    }
    return _table(Candidate, block.count, columns)


def _hops(block: Block, random: np.random.Generator, *, relaxed: bool) -> pa.Table:
    n_rows = block.count * HOPS_A_MATERIAL
    columns = _hop_keys(block, "hops") | {
        "material_id": _spread(block.names),
        "distance_ang": random.uniform(SHORTEST_ANG, LONGEST_ANG, n_rows),
        "multiplicity": 4,
        "orbit": [[[0, 1, 0, 0, 1], [1, 2, 0, 0, 1], [2, 3, 0, 0, 1], [3, 4, 0, 0, 1]]] * n_rows,
        "direction_symmetric": True,
        "mechanism": "isolated",
        "path_kind": "straight",
        "d_min_ang": random.uniform(1.5, 2.5, n_rows),
    }
    if relaxed:
        columns |= _path(n_rows, random)
    return _table(Hop, n_rows, columns)


def _path(n_rows: int, random: np.random.Generator) -> dict[str, object]:
    """Return what a relaxed path adds to hops."""
    numbers = (
        "end_shift_ang", "residual_force_ev_ang", "path_length_ang", "bvse_barrier_ev",
        "bvse_barrier_forward_ev", "bvse_barrier_reverse_ev", "bvse_site_energy_difference_ev",
        "saddle_fraction",
    )  # fmt: skip
    return {name: random.uniform(0, 1, n_rows) for name in numbers} | {
        "path_kind": "bvse",
        "collapsed": False,
        "path_converged": True,
        "path_steps": 40,
        "n_intermediate_minima": 0,
        "frac_i": _nested(random, n_rows, 3),
        "frac_j": _nested(random, n_rows, 3),
        "path_ang": _nested(random, n_rows, PATH_POINTS, 3),
        "path_energies_ev": _nested(random, n_rows, PATH_POINTS),
        "extrema_fraction": _nested(random, n_rows, 1),
        "extrema_ev": _nested(random, n_rows, 1),
    }


def _nested(random: np.random.Generator, n_rows: int, *shape: int) -> pa.Array:
    """Return rows of nested lists of that shape."""
    found = pa.array(random.uniform(0, 9, n_rows * math.prod(shape)))
    for length in reversed(shape):
        edges = pa.array(np.arange(0, len(found) + 1, length), type=pa.int32())
        found = pa.ListArray.from_arrays(edges, found)
    return found


def _predictions(block: Block, random: np.random.Generator) -> pa.Table:
    n_rows = block.count * HOPS_A_MATERIAL
    barrier_ev = random.uniform(LEAST_EV, MOST_EV, n_rows)
    columns = _hop_keys(block, "prediction") | {
        "method": "cnn",
        "model_digest": "bench",
        "barrier_ev": barrier_ev,
        "log_spread": 0.2,
        "member_barriers_ev": _lists(barrier_ev[:, None] * random.uniform(0.9, 1.1, (n_rows, MEMBERS))),
        "lower_ev": barrier_ev / 2,
        "upper_ev": barrier_ev * 2,
        "in_domain": True,
        "domain_distance": random.uniform(0, 1, n_rows),
    }
    return _table(Prediction, n_rows, columns)


def _percolation(block: Block, random: np.random.Generator) -> pa.Table:
    barrier_ev = random.uniform(LEAST_EV, MOST_EV, block.count)
    columns = {
        "structure_hash": _hashes(block),
        "working_ion": "Li",
        "method": "cnn",
        "model_digest": "bench",
        "n_hops": HOPS_A_MATERIAL,
        "cutoff_ang": LONGEST_ANG,
        "percolation_dim": random.integers(1, 4, block.count),
        "barrier_at_dim_ev": barrier_ev,
        "lower_ev": barrier_ev / 2,
        "upper_ev": barrier_ev * 2,
        "barrier_1d_ev": barrier_ev,
        "limiting_edge_1d": [f"{name}_0_1_0_0_1" for name in block.names],
        "site_energies": "unknown",
        "in_domain": True,
        "draws": 200,
        "stage_key": _keys(block, "percolation"),
    }
    return _table(Percolation, block.count, columns)


def _run_materials(block: Block) -> pa.Table:
    columns = {
        "run_id": RUN_ID,
        "structure_hash": _hashes(block),
        "working_ion": "Li",
        "material_id": block.names,
        "hops_stage_key": _keys(block, "hops"),
        "prediction_stage_key": _keys(block, "prediction"),
        "percolation_stage_key": _keys(block, "percolation"),
    }
    return _table(RunMaterial, block.count, columns)
