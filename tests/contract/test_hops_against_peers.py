"""Hop networks are right: equal to brute force everywhere, and to two peers but where these are shown wrong.

Some 30 structures in `make test`, over 500 in `make test-all`. What a peer does not answer in time is
listed and decides nothing; docs/hop-comparison.md has the same for every structure, also for those that are
too much for a peer to be asked in a test.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tests.contract import hop_brute_force as brute_force
from tests.contract import hop_peers
from tests.contract.hop_comparison import SCOPES, compare, with_peers
from tests.contract.hop_differences import DIFFERENCES
from tests.contract.hop_structures import Case, devi2025_structures, reference_structures, select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.contract.hop_comparison import Compared
    from tests.contract.hop_structures import Selection

QUICK_REFERENCE = {
    *("ref-lialpo4f", "ref-lifep2o7", "ref-lifebo3", "ref-livopo4-alpha", "ref-li2mno3", "ref-li2mnso42"),
    *("ref-limnp2o7", "ref-li2fesio4", "ref-liruo2", "ref-limno2-orthorhombic", "ref-lifepo4", "ref-li2nio2"),
    *("ref-li2vosio4", "ref-litio2-anatase", "ref-li3fe2po43", "ref-licrs2", "ref-licoo2", "ref-limn2o4"),
    "ref-limnbo3-hexagonal",
}
"""From as many space groups as there are, small enough for the peers to answer at once."""

QUICK_DEVI2025 = {
    *("test-2", "train-170", "train-24", "train-64", "train-346", "train-357", "test-56", "train-351"),
    *("train-402", "train-397", "train-264", "train-284", "test-15", "test-39", "train-83"),
}
"""Other space groups and ions, and some on which a peer goes wrong."""


def check(cases: Sequence[Case], scope_name: str, capsys: pytest.CaptureFixture[str]) -> list[Compared]:
    """Compare with brute force, then with the peers, and explain where these differ."""
    scope = SCOPES[scope_name]
    compared, _ = compare(cases, scope)
    assert {one.case.name: one.faults() for one in compared if one.faults()} == {}
    compared = with_peers(compared, scope)
    verdicts = {(one.case.name, peer): one.verdict(peer) for one in compared for peer in hop_peers.PEERS}
    list_unanswered(scope_name, verdicts, capsys)
    assert [key for key, verdict in verdicts.items() if verdict == "failed"] == []
    differing = {}
    for one in compared:
        for peer in hop_peers.PEERS:
            if one.verdict(peer) == "differs":
                count = len(one.answers[peer].lengths_ang)
                told = one.explanation(peer)
                # lihop equals brute force; and the peer's own rule, applied to those hops, gives its count.
                assert told.count == count, (one.case.name, peer)
                assert told.split or told.merged, (one.case.name, peer)
                differing[one.case.name, peer] = (count, len(one.orbits))
    answered = {key for key, verdict in verdicts.items() if verdict in {"same", "differs"}}
    assert differing == {k: v for k, v in DIFFERENCES[scope_name].items() if k in answered}
    return compared


def list_unanswered(
    scope_name: str, verdicts: dict[tuple[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Name what a peer did not answer in time and count what it was not asked, also when the test passes."""
    late = [f"{peer} on {name}" for (name, peer), found in verdicts.items() if found == "timed out"]
    not_asked = sum(found == "not asked" for found in verdicts.values())
    limits = ", ".join(f"{peer} {most}" for peer, most in SCOPES[scope_name].peer_max_hops.items())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{scope_name}: {len(verdicts) - not_asked} questions; timed out: {', '.join(late) or 'none'}; "
            f"not asked, for more hops in a cell than is the limit here ({limits}): {not_asked}\n"
        )


@pytest.fixture(scope="module")
def everything(devi2025_dir: Path) -> Selection:
    return select(chain(reference_structures(), devi2025_structures(devi2025_dir)))


@pytest.mark.parametrize("scope_name", SCOPES)
def test_some_reference_structures(scope_name, capsys):
    found = reference_structures(QUICK_REFERENCE)
    assert len(check(select(found).cases, scope_name, capsys)) > 10


@pytest.mark.data
@pytest.mark.parametrize("scope_name", SCOPES)
def test_some_structures_of_devi2025(scope_name, devi2025_dir, capsys):
    found = devi2025_structures(devi2025_dir, QUICK_DEVI2025)
    assert len(check(select(found).cases, scope_name, capsys)) > 5


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("scope_name", "at_least"), [("near", 450), ("far", 250)])
def test_all_structures(scope_name, at_least, everything, capsys):
    compared = check(everything.cases, scope_name, capsys)
    assert len(compared) >= at_least
    assert {name for name, _ in DIFFERENCES[scope_name]} <= {one.case.name for one in compared}


@pytest.mark.slow
@pytest.mark.data
def test_the_structures_are_many_and_each_is_there_once(everything):
    names = [case.name for case in everything.cases]
    assert len(names) == len(set(names)) > 500
    assert set(names) >= QUICK_REFERENCE
    assert set(names) >= QUICK_DEVI2025
    assert {case.ion for case in everything.cases} >= {"Li", "Na", "K", "Mg", "Ca", "Zn", "Al"}
    # One entry of the reference set repeats another, and sites that coincide are no structure.
    assert sum(name.startswith("ref-") for name in (*names, *everything.repeated)) == 59
    assert all("sites lie" in reason for reason in everything.left_out.values())
    assert len(names) + len(everything.repeated) + len(everything.left_out) == 59 + 559 + 60


def test_brute_force_on_a_cubic_lattice():
    # Known by hand: 3 edges, 6 face diagonals and 4 body diagonals a site, each kind one orbit.
    cubic = Structure(Lattice.cubic(3.0), ["Li"], [[0.3, 0.1, 0.2]])
    found = brute_force.orbits(cubic, "Li", 5.5)
    assert [len(orbit.hops) for orbit in found] == [3, 6, 4]
    np.testing.assert_allclose([o.lengths_ang[0] for o in found], 3.0 * np.sqrt([1, 2, 3]))
    assert all(orbit.direction_symmetric for orbit in found)


def test_brute_force_where_nothing_is_symmetric():
    # No operation but the identity: every hop is alone, and only one of them runs between unlike sites.
    sites = [[0.0, 0.0, 0.0], [0.31, 0.17, 0.08], [0.6, 0.45, 0.77], [0.13, 0.71, 0.39]]
    skew = Structure(Lattice.from_parameters(4.1, 5.2, 6.3, 81, 97, 106), ["Li", "Li", "O", "F"], sites)
    found = brute_force.orbits(skew, "Li", 4.0)
    assert all(len(orbit.hops) == 1 and not orbit.direction_symmetric for orbit in found)
    assert sum(len(orbit.hops) for orbit in found) * 2 == len(brute_force.all_hops(skew, "Li", 4.0))
    nearest = min(brute_force.all_hops(skew, "Li", 4.0).values())
    assert nearest == pytest.approx(skew.get_distance(0, 1))


def test_a_network_that_is_wrong_is_noticed():
    # The check itself must be able to fail: hops of a wrong cutoff, and of a crystal turned into another.
    (one,), _ = compare(select(reference_structures({"ref-licoo2"})).cases, SCOPES["near"])
    assert one.faults() == []
    network = one.network
    shorter = type(network)(**{**vars(network), "hops": network.hops[1:]})
    assert any("orbits instead of" in fault for fault in _with(one, shorter).faults())
    hops = tuple(type(h)(**{**vars(h), "orbit": network.hops[0].orbit}) for h in network.hops)
    mixed = type(network)(**{**vars(network), "hops": hops})
    assert any("other members" in fault for fault in _with(one, mixed).faults())


def _with(one: Compared, network: object) -> Compared:
    return type(one)(**{**vars(one), "network": network})


def test_a_peer_that_takes_too_long_is_stopped_and_the_next_question_answered():
    cubic = Structure(Lattice.cubic(3.0), ["Li"], [[0, 0, 0]])
    answers = hop_peers.ask(
        {
            ("a", "slow"): ("MigrationGraph", cubic * (2, 2, 2), "Li", 15.0),
            ("b", "wrong"): ("nobody", cubic, "Li", 3.6),
            ("c", "right"): ("DistinctPathFinder", cubic, "Li", 3.6),
        },
        limit_s=1,
    )
    assert [answer.outcome for answer in answers.values()] == ["timed out", "failed", "answered"]
    np.testing.assert_allclose(answers["c", "right"].lengths_ang, [3.0])
