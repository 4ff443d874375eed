"""Compare the hop networks of lihop and of its peers with brute force, structure by structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.hops.network import hop_network
from tests.contract import hop_brute_force as brute_force
from tests.contract.hop_peer_rule import explain
from tests.contract.hop_peers import PEERS, ask
from tests.contract.hop_structures import FAR, NEAR, cutoff_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.hops.network import HopNetwork, NetworkHop
    from tests.contract.hop_brute_force import BruteOrbit
    from tests.contract.hop_peer_rule import Explanation
    from tests.contract.hop_peers import Answer
    from tests.contract.hop_structures import Case, Window

SAME_LENGTH_ANG = 1e-3
"""Lengths that differ by no more are the same."""

ROUNDING_ANG = 1e-6

LEAST_GAP_ANG = 0.03
"""A gap narrower than this holds no cutoff that all parties read alike."""

Verdict = Literal["same", "differs", "timed out", "failed", "not asked"]


@dataclass(frozen=True)
class Scope:
    """Where the cutoff lies, and up to how many atoms and undirected hops a cell is given to whom."""

    window: Window
    max_atoms: int
    max_hops: int
    peer_max_hops: Mapping[str, int]


SCOPES = {
    "near": Scope(NEAR, 1000, 1000, {"DistinctPathFinder": 1000, "MigrationGraph": 40}),
    "far": Scope(FAR, 40, 150, {"DistinctPathFinder": 150, "MigrationGraph": 30}),
}
"""Time sets the bounds: `MigrationGraph` compares every hop with every other."""


@dataclass(frozen=True)
class Compared:
    """What brute force, lihop and the peers say of a structure's hops up to one cutoff."""

    case: Case
    cutoff_ang: float
    gap_ang: float
    orbits: list[BruteOrbit]
    network: HopNetwork
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @property
    def hops(self) -> list[NetworkHop]:
        """The hops by an isolated vacancy; those with a second vacancy run between the same sites."""
        return [hop for hop in self.network.hops if getattr(hop, "mechanism", "isolated") == "isolated"]

    @property
    def n_hops(self) -> int:
        """Undirected hops in the primitive cell."""
        return sum(len(orbit.hops) for orbit in self.orbits)

    def faults(self) -> list[str]:
        """In what lihop differs from brute force; empty when in nothing."""
        ours = {_undirected(hop): hop for hop in self.hops}
        found = []
        if len(self.hops) != len(self.orbits):
            found.append(f"{len(self.hops)} orbits instead of {len(self.orbits)}")
        if (total := sum(hop.multiplicity for hop in self.hops)) != self.n_hops:
            found.append(f"{total} hops in a primitive cell instead of {self.n_hops}")
        if not self.network.symmetry_found:
            found.append("no symmetry found")
        for orbit in self.orbits:
            at_ang = f"the orbit of {min(orbit.lengths_ang):.4f} Å"
            hop = ours.get(orbit.hops)
            if hop is None:
                found.append(f"{at_ang} has other members")
            elif hop.multiplicity != len(orbit.hops):
                found.append(f"{at_ang} has {len(orbit.hops)} members, not {hop.multiplicity}")
            elif np.abs(np.array(orbit.lengths_ang) - hop.distance_ang).min() > ROUNDING_ANG:
                found.append(f"{at_ang} has no hop of {hop.distance_ang} Å")
            elif hop.direction_symmetric != orbit.direction_symmetric:
                found.append(f"{at_ang} is direction-symmetric: {orbit.direction_symmetric}")
        return found

    def verdict(self, peer: str) -> Verdict:
        """Whether a peer lists the same hops as lihop: as many, of the same lengths."""
        answer = self.answers.get(peer)
        if answer is None:
            return "not asked"
        if answer.outcome != "answered":
            return answer.outcome
        ours_ang = sorted(hop.distance_ang for hop in self.hops)
        if len(ours_ang) != len(answer.lengths_ang):
            return "differs"
        apart_ang = np.abs(np.array(ours_ang) - answer.lengths_ang)
        return "same" if (apart_ang <= SAME_LENGTH_ANG).all() else "differs"

    def explanation(self, peer: str) -> Explanation:
        """What the peer's own rule makes of the orbits that brute force finds."""
        return explain(self.case.structure, self.case.ion, self.orbits, peer)


def compare(cases: Sequence[Case], scope: Scope) -> tuple[list[Compared], dict[str, str]]:
    """Compare what the scope admits, in the order of the cases; say of the rest why it does not."""
    compared, left_out = [], {}
    for case in cases:
        if len(case.structure) > scope.max_atoms:
            left_out[case.name] = f"more than {scope.max_atoms} atoms"
            continue
        cutoff_ang, gap_ang = cutoff_in(scope.window, case)
        orbits = brute_force.orbits(case.structure, case.ion, cutoff_ang)
        n_hops = sum(len(orbit.hops) for orbit in orbits)
        if n_hops == 0:
            left_out[case.name] = f"no hop within {cutoff_ang} Å"
        elif n_hops > scope.max_hops:
            left_out[case.name] = f"more than {scope.max_hops} hops"
        elif gap_ang < LEAST_GAP_ANG:
            left_out[case.name] = f"no gap of {LEAST_GAP_ANG} Å for the cutoff"
        else:
            network = hop_network(case.structure, case.ion, cutoff_ang=cutoff_ang)
            compared.append(Compared(case, cutoff_ang, gap_ang, orbits, network))
    return compared, left_out


def with_peers(compared: Sequence[Compared], scope: Scope) -> list[Compared]:
    """Add the peers' answers, for structures that are not too much for them."""
    questions = {
        (one.case.name, peer): (peer, one.case.structure, one.case.ion, one.cutoff_ang)
        for one in compared
        for peer in PEERS
        if one.n_hops <= scope.peer_max_hops[peer]
    }
    answers = ask(questions)
    return [
        Compared(
            one.case,
            one.cutoff_ang,
            one.gap_ang,
            one.orbits,
            one.network,
            {peer: answers[one.case.name, peer] for peer in PEERS if (one.case.name, peer) in answers},
        )
        for one in compared
    ]


def _undirected(hop: NetworkHop) -> frozenset[brute_force.Hop]:
    """Return an orbit without regard to which direction of a hop is written down."""
    return brute_force.undirected((i, j, (x, y, z)) for i, j, x, y, z in hop.orbit)
