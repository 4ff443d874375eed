"""Records of single hops for tests, from crystals screened the way a campaign does it."""

from __future__ import annotations

from tasks.featurizing import featurize_one
from tasks.reports.hop_facts import build_hop
from tasks.stage_keys import HopSettings
from tests.tasks.reports.networks import UNKNOWN

BARRIER = {"method": "cnn", "model_digest": "0123456789abcdef", "barrier_ev": 0.31, "lower_ev": 0.2,
           "upper_ev": 0.5, "in_domain": False}  # fmt: skip


def stored_hops(candidate, *, barriers=True, **settings):
    """Rows of `storage.queries.network_of` of a candidate, and the descriptors of those that are open."""
    hops, keys, groups = featurize_one(candidate, HopSettings(**settings))
    described = {key.edge_id: row for key, row in zip(keys, groups, strict=True)}
    rows = [
        hop.model_dump(exclude={"residual_force_ev_ang"})
        | UNKNOWN
        | {"path_residual_force_ev_ang": hop.residual_force_ev_ang}
        | (BARRIER if barriers and hop.edge_id in described else {})
        for hop in hops
    ]
    return rows, described


def hop_record(candidate, row, number=1, name=None):
    """What `hop_facts` makes of a stored row."""
    return build_hop(
        candidate.model_dump() | {"name": name},
        candidate.structure_json,
        candidate.oxidation_states,
        row,
        number,
    )
