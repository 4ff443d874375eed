"""Records of hop networks for tests, made from crystals the way the database would hold them."""

from __future__ import annotations

import json

import numpy as np

from storage.records import Hop
from tasks.hops.network import hop_network, percolating_orbits
from tasks.hops.percolation import percolate
from tasks.reports.network import build_network

UNKNOWN = {
    "method": None, "model_digest": None, "barrier_ev": None, "lower_ev": None, "upper_ev": None,
    "log_spread": None, "in_domain": None, "barrier_forward_ev": None, "barrier_reverse_ev": None,
    "converged": None, "path_residual_force_ev_ang": None,
}  # fmt: skip


def hop_records(crystal, found, barriers_ev, empty_frac=None, paths=False):
    """Rows of `storage.queries.network_of`; a hop that is blocked has no barrier."""
    frac = np.vstack([crystal.frac_coords, *([] if empty_frac is None else [empty_frac])])
    records = []
    for number, (hop, barrier_ev) in enumerate(zip(found.hops, barriers_ev, strict=True)):
        ox, oy, oz = hop.image
        vacancy = "" if hop.also_vacant is None else "_".join(map(str, hop.also_vacant))
        ends = np.array([frac[hop.i], frac[hop.j] + hop.image])
        along = np.linspace(0.0, 1.0, 21)[:, None]
        path = (1 - along) * ends[0] + along * ends[1]
        row = Hop(
            structure_hash="hash", working_ion=found.working_ion, material_id="m", edge_id=f"m_{number}",
            i=hop.i, j=hop.j, ox=ox, oy=oy, oz=oz, vacancy=vacancy, frac_i=ends[0].tolist(),
            frac_j=ends[1].tolist(), distance_ang=hop.distance_ang, multiplicity=hop.multiplicity,
            orbit=[list(edge) for edge in hop.orbit], mechanism=hop.mechanism,
            orbit_also_vacant=[list(v) for v in hop.orbit_also_vacant] or None,
            direction_symmetric=hop.direction_symmetric, blocked_by=hop.blocked_by,
            path_kind="bvse" if paths else "straight", path_converged=True if paths else None,
            path_ang=(path @ crystal.lattice.matrix).tolist() if paths else None,
            path_energies_ev=(np.sin(np.pi * along[:, 0]) * barrier_ev).tolist() if paths else None,
            stage_key="key",
        )  # fmt: skip
        known = {"method": "cnn", "model_digest": "0123456789abcdef", "barrier_ev": barrier_ev,
                 "lower_ev": 0.5 * barrier_ev, "upper_ev": 2.0 * barrier_ev, "in_domain": True}  # fmt: skip
        records.append(row.model_dump() | UNKNOWN | (known if hop.blocked_by is None else {}))
    return records


def network_record(crystal, barriers_ev=None, *, ion="Li", empty_frac=None, paths=False, **kwargs):
    """A network; by default barriers rise with length, 0.3 eV an ångström."""
    found = hop_network(crystal, ion, empty_sites_frac=empty_frac, **kwargs)
    if barriers_ev is None:
        barriers_ev = [0.3 * hop.distance_ang for hop in found.hops]
    records = hop_records(crystal, found, barriers_ev, empty_frac, paths)
    point = percolate(percolating_orbits(found), [record["barrier_ev"] for record in records])
    percolation = {"site_energy_difference_ev": 0.25, "site_energies": "unknown"}
    for dim in (1, 2, 3):
        level = point.levels.get(dim)
        percolation |= {
            f"barrier_{dim}d_ev": None if level is None else level.barrier_ev,
            f"lower_{dim}d_ev": None if level is None else 0.5 * level.barrier_ev,
            f"upper_{dim}d_ev": None if level is None else 2.0 * level.barrier_ev,
            f"limiting_edge_{dim}d": None if level is None else f"m_{level.limiting}",
            f"directions_{dim}d": None if level is None else [list(v) for v in level.directions],
        }
    barrier_ev = point.barrier_at_dim_ev
    row = {
        "material_id": "m", "formula": crystal.composition.reduced_formula, "name": None, "working_ion": ion,
        "structure_hash": "hash", "space_group_symbol": "P1", "space_group_number": 1,
        "percolation_dim": point.percolation_dim if point.levels else None, "barrier_at_dim_ev": barrier_ev,
        "lower_ev": None if barrier_ev is None else 0.5 * barrier_ev,
        "upper_ev": None if barrier_ev is None else 2.0 * barrier_ev,
        "reason": None if point.levels else "no_hops",
    }  # fmt: skip
    structure_json = json.dumps(crystal.as_dict())
    return build_network(row, structure_json, records, percolation if point.levels else None)
