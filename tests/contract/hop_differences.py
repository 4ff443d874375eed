"""The structures on which a peer lists other hops than lihop and brute force do, with its count and theirs.

The causes are in docs/hop-comparison.md, which `python -m tests.contract.hop_report` writes. A change on
either side is to be looked at there before it is written down here.
"""

from __future__ import annotations

DPF, MG = "DistinctPathFinder", "MigrationGraph"

DIFFERENCES: dict[str, dict[tuple[str, str], tuple[int, int]]] = {
    "near": {
        ("train-64", DPF): (9, 8),
        ("train-64", MG): (9, 8),
        ("train-357", DPF): (4, 3),
        ("train-357", MG): (4, 3),
        ("train-366", DPF): (12, 8),
        ("train-366", MG): (14, 8),
        ("train-446", DPF): (2, 1),
        ("train-446", MG): (2, 1),
    },
    "far": {
        ("ref-lifepo4", DPF): (8, 9),
        ("ref-linipo4", DPF): (8, 9),
        ("ref-liruo2", DPF): (9, 10),
        ("ref-li2fesio4", DPF): (31, 36),
        ("train-7", MG): (7, 8),
        ("train-24", DPF): (31, 22),
        ("train-64", DPF): (13, 10),
        ("train-64", MG): (13, 10),
        ("train-140", DPF): (20, 21),
        ("train-179", DPF): (27, 28),
        ("train-280", DPF): (9, 10),
        ("train-284", DPF): (10, 9),
        ("train-284", MG): (10, 9),
        ("train-287", DPF): (20, 21),
        ("train-295", DPF): (19, 15),
        ("train-346", DPF): (29, 32),
        ("train-351", DPF): (14, 16),
        ("train-357", DPF): (7, 6),
        ("train-357", MG): (7, 6),
        ("train-366", DPF): (40, 28),
        ("train-431", DPF): (20, 21),
        ("train-477", DPF): (29, 32),
        ("train-507", DPF): (13, 14),
    },
}
"""(structure, peer): (its hops, those there are), for each scope of `tests.contract.hop_comparison`."""
