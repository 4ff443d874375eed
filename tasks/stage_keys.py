"""Keys of stages: a digest of everything that a stage's rows are computed from, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from tasks.candidates import cleaning_duplicates
from tasks.descriptors import assemble
from tasks.hops import bvse, network, path, percolation, relaxed_path, sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.candidates.source import SourceItem


def digest_of(*parts: object) -> str:
    """Return a digest of plain values (numbers, strings, lists, dicts of them)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class HopSettings:
    """What decides which hops a structure has and how they are described.

    Parameters
    ----------
    working_ion : str
        Element symbol of the ion that moves.
    cutoff_ang : float or None
        Longest hop in Å; None for the smallest that connects in three dimensions, at most 6 Å.
    max_hops : int or None
        Most symmetry-distinct hops that are accepted.
    path : {"bvse", "straight"}
        Whether paths are relaxed under the bond-valence site energy.
    sites : {"occupied", "bvse"}
        Whether the network has only the occupied sites, or also the empty minima of that energy.
    """

    working_ion: str = "Li"
    cutoff_ang: float | None = None
    max_hops: int | None = 400
    path: Literal["bvse", "straight"] = "bvse"
    sites: Literal["occupied", "bvse"] = "occupied"

    def key(self, structure_hash: str) -> str:
        """Return the key of one structure's hops and descriptors under these settings."""
        stages = (sites, network, path, relaxed_path, assemble)
        versions = [stage.STAGE_VERSION for stage in stages]
        if self.sites == "bvse":
            versions.append(sites.EMPTY_SITES_VERSION)
        tables = [assemble.tables_digest(), bvse.bvse_tables_digest()]
        return digest_of("hops", structure_hash, asdict(self), versions, tables)


@dataclass(frozen=True)
class PercolationSettings:
    """What decides a percolation barrier once the hops' barriers are known.

    Parameters
    ----------
    dim_window_ev : float
        How far above the 1-D barrier a further dimension may lie and still count.
    draws : int
        Joint draws behind the intervals.
    seed : int
        Seed of the draws.
    """

    dim_window_ev: float = 0.30
    draws: int = 400
    seed: int = 0

    def key(self, prediction_key: str) -> str:
        """Return the key of one material's percolation under these settings."""
        return digest_of("percolation", prediction_key, asdict(self), percolation.STAGE_VERSION)


def candidate_key(item: SourceItem, cleaning_digest: str) -> str:
    """Return the key of what one source item becomes; two items of equal content keep their own names."""
    return digest_of("candidates", item.source, item.item_id, item.digest, cleaning_digest)


def merging_key(answers: Sequence[tuple[str, str]]) -> str:
    """Return the key of which of some structures are one material, the answer being part of it.

    Parameters
    ----------
    answers : sequence of tuple of str
        Hash of each structure, in the order in which they were compared, and of the one that stands for it.
    """
    rules = [
        cleaning_duplicates.STAGE_VERSION,
        cleaning_duplicates.MERGED_VOLUME_TOLERANCE,
        cleaning_duplicates.SHELL,
        cleaning_duplicates.SHELL_TOLERANCE,
    ]
    return digest_of("merging", rules, [list(pair) for pair in answers])


def prediction_key(hops_key: str, model_digest: str) -> str:
    """Return the key of one structure's predictions by one model."""
    return digest_of("prediction", hops_key, model_digest)
