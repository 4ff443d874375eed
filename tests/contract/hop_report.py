"""Writes docs/hop-comparison.md: `python -m tests.contract.hop_report FILE [FOLDER]`.

Asks every peer everything, in about a quarter of an hour. FOLDER holds devi2025; without it, it is looked for
where `lihop data` looks.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets import devi2025
from tests.contract.hop_comparison import LEAST_GAP_ANG, SAME_LENGTH_ANG, SCOPES, compare, with_peers
from tests.contract.hop_peers import LIMIT_S, PEERS, SYMPREC_ANG
from tests.contract.hop_structures import devi2025_structures, reference_structures, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.contract.hop_comparison import Compared, Scope
    from tests.contract.hop_structures import Selection

COMMAND = "python -m tests.contract.hop_report docs/hop-comparison.md"
DIFFERENCES_HEAD = (
    *("structure", "formula", "space group", "cutoff / Å"),
    *("peer", "its hops", "lihop", "brute force", "cause"),
)
VERDICTS = ("same", "differs", "timed out", "failed")


def main(file: Path, folder: Path | None) -> None:
    """Compare everything and write the page."""
    found = chain(reference_structures(), devi2025_structures(devi2025.find_data_dir(folder)))
    selection = select(found)
    parts = [_introduction(selection)]
    for name, scope in SCOPES.items():
        everything = replace(scope, peer_max_hops=dict.fromkeys(PEERS, scope.max_hops))
        compared, left_out = compare(selection.cases, everything)
        parts.append(_scope(name, everything, with_peers(compared, everything), left_out))
    file.write_text("\n".join(parts), encoding="utf-8")


def _introduction(selection: Selection) -> str:
    """Say what is compared and how."""
    n_reference = sum(case.name.startswith("ref-") for case in selection.cases)
    ions = Counter(case.ion for case in selection.cases)
    package = "pymatgen-analysis-diffusion"
    n_devi2025 = len(selection.cases) - n_reference
    n_groups = len({case.space_group for case in selection.cases})
    return f"""# Hop networks beside brute force and two peers

Written by `{COMMAND}`.
`tests/contract/test_hops_against_peers.py` tests the same, a part of it in `make test`.

- **Structures**: {len(selection.cases)} in {n_groups} space groups, {n_reference} of the reference set and
  {n_devi2025} of devi2025 (`test-7` is entry 7 of its test file) with both ends of the hop filled. Each was
  made primitive, none was symmetrised; {len(selection.repeated)} more repeat one of these by ion, formula,
  space group and `StructureMatcher`.
- **Working ions**: {_counted(ions)}.
- **Left out before any comparison**: {_reasons(selection.left_out)}.
- **Brute force** (`tests/contract/hop_brute_force.py`): every operation that spglib finds at {SYMPREC_ANG} Å
  moves both ends of every hop; hops that are moved onto each other are one orbit. It shares no code with
  `tasks.hops`.
- **Peers**: `DistinctPathFinder` and `MigrationGraph.with_distance(...).unique_hops` of
  {package} {version(package)} (pymatgen {version("pymatgen")}, spglib {version("spglib")}),
  symprec {SYMPREC_ANG} Å, {LIMIT_S} s of processor time a structure. "Same" is the same number of distinct
  hops of the same lengths within {SAME_LENGTH_ANG} Å.
- **Cutoff**: the middle of the widest gap between the lengths in the range given, so that no shell lies at
  its edge (the peers look up to 0.01 Å beyond it); gaps narrower than {LEAST_GAP_ANG} Å were not used.
- **Causes** are worked out: `tests/contract/hop_peer_rule.py` writes down the rule by which the peers call
  two hops equal, and applied to the hops that brute force finds it must arrive at the peer's own count.
"""


def _scope(name: str, scope: Scope, compared: Sequence[Compared], left_out: dict[str, str]) -> str:
    """Tell the results up to one kind of cutoff."""
    wrong = [one.case.name for one in compared if one.faults()]
    n_groups = len({one.case.space_group for one in compared})
    n_hops = sum(one.n_hops for one in compared)
    n_orbits = sum(len(one.orbits) for one in compared)
    window = scope.window
    return f"""## {name.capitalize()}: cutoffs of {window.low_ang} to {window.high_ang} Å

{len(compared)} structures in {n_groups} space groups; {n_hops} hops in their primitive cells, in {n_orbits}
orbits. Left out: {_reasons(left_out)}.

lihop differs from brute force (in number, members, sizes, lengths or direction symmetry of orbits) on
{len(wrong)} of them{": " + ", ".join(wrong) if wrong else ""}.

{_table(("peer", *VERDICTS), [_peer_row(peer, compared) for peer in PEERS])}

{_differences(compared)}

Time-outs ({LIMIT_S} s): {_listed(compared, "timed out")}.

Failures: {_listed(compared, "failed")}.
"""


def _peer_row(peer: str, compared: Sequence[Compared]) -> tuple[str, ...]:
    """Count a peer's verdicts."""
    counts = Counter(one.verdict(peer) for one in compared)
    return (f"`{peer}`", *(str(counts[verdict]) for verdict in VERDICTS))


def _differences(compared: Sequence[Compared]) -> str:
    """Tell every structure on which a peer differs, and why."""
    rows = []
    for one in compared:
        for peer in PEERS:
            if one.verdict(peer) == "differs":
                told = one.explanation(peer)
                count = len(one.answers[peer].lengths_ang)
                cause = told.text if told.count == count else f"unexplained (its rule gives {told.count})"
                formula, group = one.case.structure.composition.reduced_formula, one.case.space_group
                cells = (f"{one.cutoff_ang:.3f}", peer, count, len(one.hops), len(one.orbits), cause)
                rows.append((one.case.name, formula, str(group), *map(str, cells)))
    return _table(DIFFERENCES_HEAD, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(compared: Sequence[Compared], verdict: str) -> str:
    """Name the structures with a verdict and what the peer had to do."""
    said = [
        f"{peer} on {one.case.name} ({one.case.structure.composition.reduced_formula}, {one.n_hops} hops)"
        + (f": {one.answers[peer].message}" if verdict == "failed" else "")
        for one in compared
        for peer in PEERS
        if one.verdict(peer) == verdict
    ]
    return "; ".join(said) if said else "none"


def _reasons(left_out: dict[str, str]) -> str:
    """Count by reason what was left out; reasons that hold a figure of one structure count as one."""
    if not left_out:
        return "none"
    reasons = ("no hop within the cutoff" if why.startswith("no hop") else why for why in left_out.values())
    kinds = Counter(reasons)
    return ", ".join(f"{n} ({why})" for why, n in kinds.most_common())


def _counted(counts: Counter[str]) -> str:
    """List counts, largest first."""
    return ", ".join(f"{key} {n}" for key, n in counts.most_common())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
