"""What is done with a batch of materials: rows in, rows out, and no material costs another its result."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from storage.records import Candidate, DescriptorKey, Failure, Hop, Reason, Stage, StageResult
from tasks.candidates.cleaning import clean, load_charges, load_structure
from tasks.candidates.source import Rejected, RejectedError
from tasks.descriptors.assemble import INPUT_SPEC, describe
from tasks.descriptors.scene import find_anions
from tasks.hops.errors import NoWorkingIonError, TooManyHopsError
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment
from tasks.limits import TimeLimitError, time_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from models.specs import GroupName
    from tasks.candidates.cleaning import CleaningSettings
    from tasks.candidates.source import Source, SourceItem
    from tasks.hops.network import NetworkHop
    from tasks.hops.path import HopEnvironment
    from tasks.stage_keys import HopSettings

REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (TooManyHopsError, Reason.TOO_MANY_HOPS),
    (NoWorkingIonError, Reason.NO_WORKING_ION),
    (TimeLimitError, Reason.TIME_LIMIT),
)
"""Errors that say what is wrong with the material. Any other is unexpected and keeps its traceback."""


@dataclass
class Prepared:
    """Candidates and failures made of source items."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    results: list[StageResult] = field(default_factory=list)


@dataclass
class Featurized:
    """Hops of some materials, and the descriptors of those hops that a path can be drawn for."""

    hops: list[Hop] = field(default_factory=list)
    keys: list[DescriptorKey] = field(default_factory=list)
    groups: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    results: list[StageResult] = field(default_factory=list)


def reason_for(error: BaseException) -> Reason:
    """Return the reason under which an error is filed."""
    if isinstance(error, RejectedError):
        return error.reason
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), Reason.UNEXPECTED)


def failure_of(error: BaseException, candidate: Candidate, stage: Stage, stage_key: str) -> Failure:
    """Return the row that says why a candidate has no result."""
    reason = reason_for(error)
    return Failure(
        material_id=candidate.material_id,
        source=candidate.source,
        working_ion=candidate.working_ion,
        structure_hash=candidate.structure_hash,
        formula=candidate.formula,
        stage=stage,
        reason=reason,
        message=str(error) or type(error).__name__,
        traceback=trace(error) if reason is Reason.UNEXPECTED else None,
        stage_key=stage_key,
    )


def trace(error: BaseException) -> str:
    """Return the traceback of an error as text."""
    return "".join(tracebacks.format_exception(error))


def prepare(
    source: Source,
    items: Iterable[tuple[SourceItem, str]],
    settings: CleaningSettings,
    time_limit_s: float | None,
) -> Prepared:
    """Read and clean source items.

    Parameters
    ----------
    source : Source
        Where the items come from.
    items : iterable of (SourceItem, str)
        Items and their stage keys.
    settings : CleaningSettings
        What is asked of a structure.
    time_limit_s : float or None
        Longest that reading one item, and then cleaning each structure in it, may take, in seconds.

    Returns
    -------
    Prepared
        A candidate or a failure for every structure, and a stage result for every item.
    """
    done = Prepared()
    for item, key in items:
        candidates, failures = _prepare_item(source, item, key, settings, time_limit_s)
        done.candidates += candidates
        done.failures += failures
        done.results.append(
            StageResult(
                stage_key=key,
                working_ion=settings.working_ion,
                stage=Stage.CANDIDATES,
                n_rows=len(candidates) + len(failures),
            )
        )
    return done


def _prepare_item(
    source: Source, item: SourceItem, key: str, settings: CleaningSettings, time_limit_s: float | None
) -> tuple[list[Candidate], list[Failure]]:
    candidates: list[Candidate] = []
    failures: list[Failure] = []

    def fail(error: BaseException, material_id: str, formula: str | None = None) -> None:
        reason = reason_for(error)
        failures.append(
            Failure(
                material_id=material_id,
                source=source.name,
                working_ion=settings.working_ion,
                formula=formula,
                stage=Stage.CANDIDATES,
                reason=reason,
                message=str(error) or type(error).__name__,
                traceback=trace(error) if reason is Reason.UNEXPECTED else None,
                stage_key=key,
            )
        )

    try:
        with time_limit(time_limit_s):
            found = source.read(item)
    except (Exception, TimeLimitError) as error:  # noqa: BLE001 - it is a row, and the next item is read
        fail(error, item.item_id)
        return candidates, failures
    for raw in found:
        if isinstance(raw, Rejected):
            fail(raw.error, raw.material_id, raw.error.formula)
            continue
        formula = None
        try:
            with time_limit(time_limit_s):
                formula = raw.structure.composition.reduced_formula
                candidate = clean(raw, settings, key)
        except (Exception, TimeLimitError) as error:  # noqa: BLE001 - the item's others get their turn
            fail(error, raw.material_id, formula)
        else:
            candidates.append(candidate)
    return candidates, failures


def featurize(
    candidates: Sequence[Candidate], settings: HopSettings, shard: str, time_limit_s: float | None
) -> Featurized:
    """Find and describe the hops of some candidates.

    Parameters
    ----------
    candidates : sequence of Candidate
        Cleaned structures.
    settings : HopSettings
        Which hops, and how described.
    shard : str
        Name under which the caller will keep the descriptors.
    time_limit_s : float or None
        Longest that one material may take, in seconds.

    Returns
    -------
    Featurized
        Rows of the materials that could be done, a failure for each other, a stage result for all.
    """
    done = Featurized()
    described: list[dict[GroupName, NDArray[np.float32]]] = []
    for candidate in candidates:
        key = settings.key(candidate.structure_hash)
        try:
            with time_limit(time_limit_s):
                hops, keys, rows = featurize_one(candidate, settings)
        except (Exception, TimeLimitError) as error:  # noqa: BLE001 - it is a row, and the next is done
            done.failures.append(failure_of(error, candidate, Stage.HOPS, key))
            hops, keys, rows = [], [], []
        else:
            if not keys:
                # The hops are listed all the same: each says what it is blocked by.
                done.failures.append(failure_of(_all_blocked(candidate, hops), candidate, Stage.HOPS, key))
        done.hops += hops
        done.keys += keys
        described += rows
        done.results.append(
            StageResult(
                stage_key=key,
                structure_hash=candidate.structure_hash,
                working_ion=candidate.working_ion,
                stage=Stage.HOPS,
                shard=shard,
                n_rows=len(keys),
            )
        )
    for group in INPUT_SPEC.groups:
        rows_of_group = [row[group.name] for row in described]
        done.groups[group.name] = np.asarray(rows_of_group, dtype=np.float32).reshape(-1, *group.shape)
    return done


def _all_blocked(candidate: Candidate, hops: Sequence[Hop]) -> RejectedError:
    reach_ang = max(hop.distance_ang for hop in hops)
    return RejectedError(
        Reason.NO_HOPS,
        f"{candidate.material_id}: each of its {len(hops)} distinct hops up to {reach_ang:.2f} Å runs "
        "through an atom or another site (see blocked_by in the table hops); give a longer --cutoff-ang",
    )


def featurize_one(
    candidate: Candidate, settings: HopSettings
) -> tuple[list[Hop], list[DescriptorKey], list[dict[GroupName, NDArray[np.float32]]]]:
    """Return the hops of one candidate, and keys and descriptors of those that are not blocked.

    Raises
    ------
    RejectedError
        ``no_hops`` when no two sites of the working ion lie within the cutoff.
    TooManyHopsError
        When there are more hops than the settings allow.
    """
    structure, charges = load_structure(candidate), load_charges(candidate)
    network = hop_network(
        structure, settings.working_ion, cutoff_ang=settings.cutoff_ang, max_hops=settings.max_hops
    )
    if not network.hops:
        raise RejectedError(
            Reason.NO_HOPS,
            f"{candidate.material_id}: no two {settings.working_ion} sites lie within "
            f"{network.cutoff_ang:.2f} Å; give a longer --cutoff-ang",
        )
    hops: list[Hop] = []
    keys: list[DescriptorKey] = []
    rows: list[dict[GroupName, NDArray[np.float32]]] = []
    for found in network.hops:
        env = hop_environment(
            structure, charges, found.i, found.j, found.image, working_ion=settings.working_ion
        )
        hop = _hop_row(candidate, settings, found, env)
        hops.append(hop)
        # A blocked hop has no path of its own to describe: it is listed with the reason and stays without a
        # barrier.
        if hop.blocked_by is None:
            keys.append(DescriptorKey(**{name: getattr(hop, name) for name in DescriptorKey.model_fields}))
            rows.append(describe(env))
    return hops, keys, rows


def _hop_row(candidate: Candidate, settings: HopSettings, found: NetworkHop, env: HopEnvironment) -> Hop:
    ox, oy, oz = found.image
    return Hop(
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        material_id=candidate.material_id,
        edge_id=f"{candidate.material_id}_{found.i}_{found.j}_{ox}_{oy}_{oz}",
        i=found.i,
        j=found.j,
        ox=ox,
        oy=oy,
        oz=oz,
        distance_ang=found.distance_ang,
        multiplicity=found.multiplicity,
        orbit=[list(edge) for edge in found.orbit],
        direction_symmetric=found.direction_symmetric,
        blocked_by=found.blocked_by,
        d_min_ang=shortest_anion_distance_ang(env),
        stage_key=settings.key(candidate.structure_hash),
    )


def shortest_anion_distance_ang(env: HopEnvironment) -> float | None:
    """Return the least distance between the moving ion and an anion along the path; None without anions."""
    anions = env.coords_ang[find_anions(env)]
    if len(anions) == 0:
        return None
    return float(np.linalg.norm(env.path_ang[:, None] - anions[None], axis=-1).min())
