"""Percolation of a batch of materials: hops and predicted barriers in, one row a material out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from storage.records import Percolation, Stage, StageResult
from tasks.batches import failure_of
from tasks.candidates.cleaning import load_structure
from tasks.hops.directions import conventional_direction
from tasks.hops.draws import percolate_draws
from tasks.hops.percolation import percolate
from tasks.hops.site_energies import SiteEnergies, Step, fit_site_energies, site_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from storage.records import Candidate, Failure, Hop, Prediction
    from tasks.hops.draws import PercolationIntervals
    from tasks.hops.percolation import PercolationResult
    from tasks.hops.periodic import Edge
    from tasks.stage_keys import PercolationSettings


NORMAL_90 = 1.6448536269514722
"""Half-width of a normal's central 90%, in standard deviations."""


@dataclass(frozen=True)
class Residuals:
    """What a model misjudges, as standard deviations of log-barrier, for joint draws.

    Parameters
    ----------
    hop_log_std : float
        Of each hop by itself.
    material_log_std : float
        Of all hops of a material together.
    follow_intervals : bool
        Whether the two say only how each hop's variance is divided, and its own interval says how much it is:
        intervals are not equally wide for all hops.
    """

    hop_log_std: float
    material_log_std: float
    follow_intervals: bool = False

    def of(self, predictions: Sequence[Prediction | None]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return each hop's own standard deviation and its share of the common one, ``(hops,)`` each.

        With the members' spread they make a normal whose central 90% is as wide as the hop's interval.
        A hop without a prediction gets 0.
        """
        own = np.full(len(predictions), self.hop_log_std)
        shared = np.full(len(predictions), self.material_log_std)
        total = math.hypot(self.hop_log_std, self.material_log_std)
        if not self.follow_intervals or total == 0:
            return own, shared
        rest = np.array([0.0 if row is None else _rest_log_std(row) for row in predictions])
        return own / total * rest, shared / total * rest


def _rest_log_std(row: Prediction) -> float:
    """Return what a hop's interval holds beside the members' spread, which draws over members add again."""
    half_width = math.log(row.upper_ev / row.lower_ev) / 2
    return math.sqrt(max((half_width / NORMAL_90) ** 2 - row.log_spread**2, 0.0))


@dataclass
class Percolated:
    """Rows of a batch's percolation."""

    rows: list[Percolation] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    results: list[StageResult] = field(default_factory=list)


def percolate_all(
    candidates: Sequence[Candidate],
    hops: Sequence[Hop],
    predictions: Sequence[Prediction],
    settings: PercolationSettings,
    residuals: Residuals,
) -> Percolated:
    """Work out the percolation of every candidate that has predicted hops.

    Parameters
    ----------
    candidates : sequence of Candidate
        The materials.
    hops, predictions : sequence of Hop, of Prediction
        Theirs, in any order.
    settings : PercolationSettings
        Window, draws and seed.
    residuals : Residuals
        The model's.

    Returns
    -------
    Percolated
        A row, or a failure with its reason, for each.
    """
    done = Percolated()
    for candidate in candidates:
        own = [hop for hop in hops if hop.structure_hash == candidate.structure_hash]
        known = {
            (row.i, row.j, row.ox, row.oy, row.oz): row
            for row in predictions
            # A divacancy hop is another way between two sites, for ions that have two vacancies: it is listed
            # with a barrier of its own and carries no percolation.
            if row.structure_hash == candidate.structure_hash and not row.vacancy
        }
        if not known:
            continue
        key = settings.key(next(iter(known.values())).stage_key)
        try:
            row = percolation_row(candidate, own, known, settings, residuals)
        except Exception as error:  # noqa: BLE001 - whatever one material raises is a row, and the next is done
            done.failures.append(failure_of(error, candidate, Stage.PERCOLATION, key))
            n_rows = 0
        else:
            done.rows.append(row)
            n_rows = 1
        done.results.append(
            StageResult(
                stage_key=key,
                structure_hash=candidate.structure_hash,
                working_ion=candidate.working_ion,
                stage=Stage.PERCOLATION,
                n_rows=n_rows,
            )
        )
    return done


def percolation_row(
    candidate: Candidate,
    hops: Sequence[Hop],
    predictions: dict[tuple[int, int, int, int, int], Prediction],
    settings: PercolationSettings,
    residuals: Residuals,
) -> Percolation:
    """Return the percolation of one material.

    Parameters
    ----------
    candidate : Candidate
        The material.
    hops : sequence of Hop
        All its symmetry-distinct hops; those without a prediction, and divacancy hops, carry no percolation.
    predictions : dict of tuple to Prediction
        By (i, j, ox, oy, oz).
    settings : PercolationSettings
        Window, draws and seed.
    residuals : Residuals
        The model's.
    """
    hops = [hop for hop in hops if not hop.vacancy]
    found = [predictions.get((hop.i, hop.j, hop.ox, hop.oy, hop.oz)) for hop in hops]
    orbits = [[_edge(members) for members in hop.orbit] for hop in hops]
    structure = load_structure(candidate)
    heights = _site_energies(structure, hops, orbits)
    ground = _Ground.of(len(structure), heights)
    orbits = [orbit if ground.reaches(orbit) else [] for orbit in orbits]
    barriers = [None if row is None else row.barrier_ev for row in found]
    n_members = len(next(iter(predictions.values())).member_barriers_ev)
    members = np.array([[np.nan] * n_members if row is None else row.member_barriers_ev for row in found])
    point = percolate(
        orbits,
        barriers,
        site_energies_ev=ground.energies_ev,
        occupied=ground.occupied,
        dim_window_ev=settings.dim_window_ev,
    )
    own_log_std, shared_log_std = residuals.of(found)
    intervals = percolate_draws(
        orbits,
        barriers,
        members,
        sigma_hop=own_log_std,
        sigma_material=shared_log_std,
        seed=settings.seed,
        n_draws=settings.draws,
        dim_window_ev=settings.dim_window_ev,
        site_energies_ev=ground.energies_ev,
        occupied=ground.occupied,
    )
    first = next(iter(predictions.values()))
    at_dim = point.levels.get(point.percolation_dim)
    lower, upper = (None, None) if intervals.at_dim_ev is None else intervals.at_dim_ev
    deciding = None if at_dim is None else found[at_dim.limiting]
    return Percolation(
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        method=first.method,
        model_digest=first.model_digest,
        n_hops=len(hops),
        cutoff_ang=max(hop.distance_ang for hop in hops),
        percolation_dim=point.percolation_dim,
        barrier_at_dim_ev=point.barrier_at_dim_ev,
        lower_ev=lower,
        upper_ev=upper,
        **_levels(point, intervals, hops),
        direction_conventional=_direction(candidate, point),
        site_energies=point.site_energies,
        site_energy_difference_ev=_site_energy_difference_ev(point, heights),
        in_domain=None if deciding is None else deciding.in_domain,
        path_converged=None if at_dim is None else hops[at_dim.limiting].path_converged,
        bottlenecks_json=_bottlenecks(intervals, hops),
        dims_json=json.dumps(_shares(intervals.dims)),
        draws=intervals.draws,
        stage_key=settings.key(first.stage_key),
    )


def _edge(members: Sequence[int]) -> Edge:
    i, j, ox, oy, oz = members
    return i, j, ox, oy, oz


def _levels(
    point: PercolationResult, intervals: PercolationIntervals, hops: Sequence[Hop]
) -> dict[str, object]:
    """Return the columns of each dimension that is reached."""
    columns: dict[str, object] = {}
    for dim, level in point.levels.items():
        lower, upper = intervals.levels_ev[dim]
        columns |= {
            f"barrier_{dim}d_ev": level.barrier_ev,
            f"lower_{dim}d_ev": lower,
            f"upper_{dim}d_ev": upper,
            f"limiting_edge_{dim}d": hops[level.limiting].edge_id,
            f"directions_{dim}d": [list(vector) for vector in level.directions],
        }
    return columns


def _bottlenecks(intervals: PercolationIntervals, hops: Sequence[Hop]) -> str:
    """Return how often each hop is the rate-limiting one, by dimension, the most frequent first."""
    return json.dumps(
        {
            str(dim): _shares({hops[k].edge_id: share for k, share in by_hop.items()})
            for dim, by_hop in sorted(intervals.bottlenecks.items())
        }
    )


def _shares(by_name: Mapping[str, float] | Mapping[int, float]) -> dict[str, float]:
    """Return shares under names that JSON takes, the largest first; ties go by name, whatever drew first."""
    named = {str(name): share for name, share in by_name.items()}
    return dict(sorted(named.items(), key=lambda entry: (-entry[1], entry[0])))


def _direction(candidate: Candidate, point: PercolationResult) -> str | None:
    level = point.levels.get(point.percolation_dim)
    return None if level is None else conventional_direction(load_structure(candidate), level.directions)


def _site_energies(
    structure: Structure, hops: Sequence[Hop], orbits: Sequence[Sequence[Edge]]
) -> SiteEnergies:
    """Return what the BVSE says of the sites' energies, from the differences along relaxed hops."""
    steps = [
        Step(hop.i, hop.j, hop.bvse_site_energy_difference_ev, hop.multiplicity)
        for hop in hops
        if hop.bvse_site_energy_difference_ev is not None and hop.blocked_by is None
    ]
    return fit_site_energies(site_classes(structure, orbits), steps)


@dataclass(frozen=True)
class _Ground:
    """What levels count from.

    Among occupied sites alone, site energies count as 0: how far apart they lie the BVSE tells too roughly to
    be added to the barriers that a model predicts. Empty sites lie eV higher, and to count them as equal
    would let ions run along sites that they are not on; so in a network that has some the BVSE's energies
    count, and empty sites that no hop connects with an occupied one carry nothing.

    Parameters
    ----------
    energies_ev : dict of int to float, or None
        By site; None where they count as 0.
    occupied : frozenset of int, or None
        Sites that ions are on; None for all.
    """

    energies_ev: dict[int, float] | None
    occupied: frozenset[int] | None

    @classmethod
    def of(cls, n_stored: int, heights: SiteEnergies) -> _Ground:
        """Return the ground of a network, whose sites from the number of stored ones on are empty."""
        if all(site < n_stored for site in heights.energies_ev):
            return cls(None, None)
        occupied = frozenset(site for site in heights.energies_ev if site < n_stored)
        energies: dict[int, float] = {}
        for group in {heights.group[site] for site in occupied}:
            members = [site for site, number in heights.group.items() if number == group]
            lowest = min(heights.energies_ev[site] for site in members if site in occupied)
            energies |= {site: heights.energies_ev[site] - lowest for site in members}
        return cls(energies, occupied)

    def reaches(self, orbit: Sequence[Edge]) -> bool:
        """Say whether a hop's sites are ones that ions get to."""
        if self.energies_ev is None:
            return True
        return all(edge[0] in self.energies_ev and edge[1] in self.energies_ev for edge in orbit)


def _site_energy_difference_ev(point: PercolationResult, heights: SiteEnergies) -> float | None:
    """Return the highest minus the lowest site of the percolating component, by the BVSE."""
    level = point.levels.get(point.percolation_dim)
    return None if level is None else heights.range_ev(level.sites)
