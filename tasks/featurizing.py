"""Hops of a batch of materials: found, their paths relaxed, and described; rows in, rows out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from storage.records import DescriptorKey, Failure, Hop, Reason, Stage, StageResult
from tasks.batches import failure_of
from tasks.candidates.cleaning import load_charges, load_structure
from tasks.candidates.cleaning_state import CHARGED
from tasks.candidates.source import RejectedError
from tasks.descriptors.assemble import INPUT_SPEC, describe
from tasks.descriptors.scene import find_anions
from tasks.hops.network import hop_network, isolated_only
from tasks.hops.path import hop_environment
from tasks.hops.sites import assign_charges
from tasks.limits import TimeLimitError, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from models.specs import GroupName
    from storage.records import Candidate
    from tasks.hops.network import HopNetwork, NetworkHop
    from tasks.hops.path import HopEnvironment
    from tasks.hops.sites import Charges
    from tasks.stage_keys import HopSettings

Groups = dict["GroupName", "NDArray[np.float32]"]


@dataclass
class Featurized:
    """Hops of some materials, and the descriptors of those hops that a path can be drawn for."""

    hops: list[Hop] = field(default_factory=list)
    keys: list[DescriptorKey] = field(default_factory=list)
    groups: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    results: list[StageResult] = field(default_factory=list)


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
    load_libraries(settings)
    done = Featurized()
    described: list[Groups] = []
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
) -> tuple[list[Hop], list[DescriptorKey], list[Groups]]:
    """Return the hops of one candidate, and keys and descriptors of those that are not blocked.

    Raises
    ------
    RejectedError
        ``no_hops`` when no two sites of the working ion lie within the cutoff.
    TooManyHopsError
        When there are more hops than the settings allow.
    """
    structure, charges = load_structure(candidate), load_charges(candidate)
    charged = candidate.state == CHARGED
    network, empty = find_hops(structure, charges, settings, charged=charged)
    if not network.hops:
        raise RejectedError(
            Reason.NO_HOPS,
            f"{candidate.material_id}: no two {settings.working_ion} sites lie within "
            f"{network.cutoff_ang:.2f} Å; give a longer --cutoff-ang, or add empty sites by --sites bvse",
        )
    frac = np.vstack([np.asarray(structure.frac_coords), empty])
    # A blocked hop has no path of its own to describe: it is listed with the reason and without a barrier.
    cuts = [
        _cut(structure, charges, hop, working_ion=settings.working_ion, empty=empty, stripped=charged)
        for hop in network.hops
    ]
    open_hops = [k for k, hop in enumerate(network.hops) if hop.blocked_by is None]
    found = dict(zip(open_hops, _environments([cuts[k] for k in open_hops], settings), strict=True))
    hops: list[Hop] = []
    keys: list[DescriptorKey] = []
    rows: list[Groups] = []
    for k, hop in enumerate(network.hops):
        env = found[k] if k in found else cuts[k]()
        row = _hop_row(candidate, settings, hop, env, frac)
        hops.append(row)
        if k in found:
            keys.append(DescriptorKey(**{name: getattr(row, name) for name in DescriptorKey.model_fields}))
            rows.append(describe(env))
    return hops, keys, rows


def load_libraries(settings: HopSettings) -> None:
    """Load what takes seconds to load before any time limit runs: an import cut short stays broken.

    Parameters
    ----------
    settings : HopSettings
        Straight paths between occupied sites do without torch.
    """
    if settings.path == "bvse":
        import tasks.hops.relax
    if settings.sites == "bvse":
        import tasks.hops.empty_sites  # noqa: F401


def find_hops(
    structure: Structure, charges: Charges, settings: HopSettings, *, charged: bool = False
) -> tuple[HopNetwork, NDArray[np.float64]]:
    """Return the hops that the settings ask for, and the empty sites that are in the network.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    charges : Charges
        Oxidation states of its sites, in its state of charge.
    settings : HopSettings
        Working ion, cutoff, bound on hops, sites.
    charged : bool
        Whether the host has no other working ion: hops between the same sites then, all of them isolated.

    Returns
    -------
    network : HopNetwork
        The hops; sites beyond the stored ones are the empty ones.
    empty_frac : ndarray of shape (E, 3)
        Their fractional coordinates; none unless the settings ask for them.
    """
    empty = np.empty((0, 3))
    if settings.sites == "bvse":
        # Here and not at the top of the file: most networks do without torch. See `load_libraries`.
        from tasks.hops.empty_sites import empty_sites

        # The sites of a charged host are those of the discharged one, so that the two networks are the same.
        discharged = assign_charges(structure) if charged else charges
        empty = empty_sites(structure, discharged, settings.working_ion).frac_coords
    network = hop_network(
        structure,
        settings.working_ion,
        cutoff_ang=settings.cutoff_ang,
        max_hops=settings.max_hops,
        empty_sites_frac=empty if len(empty) else None,
    )
    return isolated_only(network) if charged else network, empty


def _cut(
    structure: Structure,
    charges: Charges,
    hop: NetworkHop,
    *,
    working_ion: str,
    empty: NDArray[np.float64],
    stripped: bool,
) -> Callable[..., HopEnvironment]:
    """Return what cuts the surroundings of a hop out of its structure."""
    return partial(
        hop_environment,
        structure,
        charges,
        hop.i,
        hop.j,
        hop.image,
        working_ion=working_ion,
        also_vacant=hop.also_vacant,
        empty_sites_frac=empty,
        stripped=stripped,
    )


def _environments(
    cuts: Sequence[Callable[..., HopEnvironment]], settings: HopSettings
) -> list[HopEnvironment]:
    """Return the surroundings of hops, along relaxed paths unless straight ones are asked for."""
    if settings.path == "straight":
        return [cut() for cut in cuts]
    # Loaded late, as above.
    from tasks.hops.relax import relaxed_environments

    return relaxed_environments(cuts)


def _hop_row(
    candidate: Candidate,
    settings: HopSettings,
    found: NetworkHop,
    env: HopEnvironment,
    frac: NDArray[np.float64],
) -> Hop:
    ox, oy, oz = found.image
    vacancy = "" if found.also_vacant is None else "_".join(map(str, found.also_vacant))
    edge_id = f"{candidate.material_id}_{found.i}_{found.j}_{ox}_{oy}_{oz}"
    return Hop(
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        material_id=candidate.material_id,
        edge_id=f"{edge_id}_v{vacancy}" if vacancy else edge_id,
        i=found.i,
        j=found.j,
        ox=ox,
        oy=oy,
        oz=oz,
        vacancy=vacancy,
        frac_i=frac[found.i].tolist(),
        frac_j=(frac[found.j] + found.image).tolist(),
        distance_ang=found.distance_ang,
        multiplicity=found.multiplicity,
        orbit=[list(edge) for edge in found.orbit],
        orbit_also_vacant=[list(site) for site in found.orbit_also_vacant] or None,
        direction_symmetric=found.direction_symmetric,
        mechanism=found.mechanism,
        blocked_by=found.blocked_by,
        d_min_ang=shortest_anion_distance_ang(env),
        **_path_columns(env),
        stage_key=settings.key(candidate.structure_hash),
    )


def _path_columns(env: HopEnvironment) -> dict[str, object]:
    """Return what a row says of a relaxed path; unknown is null."""
    path = env.relaxed
    if path is None:
        return {"path_kind": "straight", "path_ang": env.path_ang.tolist()}
    columns: dict[str, object] = {
        "path_kind": path.kind,
        "path_ang": path.positions_ang.tolist(),
        "path_converged": path.converged,
        "missing_parameters": list(path.missing) or None,
    }
    if path.converged is not None:
        # Also of a path that ran away and was put back to its line.
        columns |= {
            "collapsed": path.collapsed,
            "end_shift_ang": path.end_shift_ang,
            "residual_force_ev_ang": path.residual_force_ev_ang,
            "path_steps": path.steps,
        }
    if path.kind == "straight":
        return columns
    return columns | {
        "path_length_ang": path.length_ang,
        "bvse_barrier_ev": path.barrier_ev,
        "bvse_barrier_forward_ev": path.barrier_forward_ev,
        "bvse_barrier_reverse_ev": path.barrier_reverse_ev,
        "bvse_site_energy_difference_ev": path.barrier_forward_ev - path.barrier_reverse_ev,
        "saddle_fraction": path.saddle_fraction,
        "path_energies_ev": path.energies_ev.tolist(),
        "extrema_fraction": [extremum.fraction for extremum in path.extrema],
        "extrema_ev": [extremum.energy_ev for extremum in path.extrema],
        "n_intermediate_minima": len(path.intermediates_ang),
    }


def shortest_anion_distance_ang(env: HopEnvironment) -> float | None:
    """Return the least distance between the moving ion and an anion along the path; None without anions."""
    anions = env.coords_ang[find_anions(env)]
    if len(anions) == 0:
        return None
    return float(np.linalg.norm(env.path_ang[:, None] - anions[None], axis=-1).min())
