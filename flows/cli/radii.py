"""The table of docs/topology-radii.md, accuracy against cost of topology: `python -m flows.cli.radii`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import LabelledArrays, host_folds
from models.baselines import predict_trees
from models.bootstrap import COMMON_RANGE_EV, host_draws, interval_over_hosts
from models.specs import GroupSpec, InputSpec
from tasks.datasets import devi2025
from tasks.descriptors.assemble import INPUT_SPEC, describe
from tasks.descriptors.persistence import bars_of
from tasks.descriptors.persistence_settings import DEFAULT, TopologySettings
from tasks.descriptors.registry.topology import descriptors
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import rips_inputs, topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tasks.datasets.records import LabelledHop
    from tasks.descriptors.scene import Scene

BATCH = 40
FOLDS = 5
SEEDS = (0, 1)
NO_TOPOLOGY = "no topology"

BASE = replace(DEFAULT, ion="compact")
"""Settings are moved from here: of the forms that tell the ion's part, the one with the fewest numbers."""

SETTINGS = {
    "the base": BASE,
    "edge 4.5-5.5 Å": replace(BASE, edge_window_ang=(4.5, 5.5)),
    "edge 5.5-6.5 Å": replace(BASE, edge_window_ang=(5.5, 6.5)),
    "edge 6.5-7.5 Å": replace(BASE, edge_window_ang=(6.5, 7.5)),
    "threshold 4 Å": replace(BASE, threshold_ang=4.0),
    "threshold 5 Å": replace(BASE, threshold_ang=5.0),
    "threshold 7 Å": replace(BASE, threshold_ang=7.0),
    "H0 alone": replace(BASE, max_dimension=0),
    "H0 and H1": replace(BASE, max_dimension=1),
    "without the ion": replace(BASE, ion="none"),
    "with the ion: all changes": replace(BASE, ion="changes"),
    "the defaults, with all figures of the ion": DEFAULT,
    "no clouds by element": replace(BASE, element_dimension=None),
    "clouds by element: H0 alone": replace(BASE, element_dimension=0),
    "clouds by element to H2": replace(BASE, element_dimension=2),
}
"""One setting at a time away from the base."""

TOGETHER = frozenset({
    "the base", "edge 5.5-6.5 Å", "H0 alone", "without the ion", "no clouds by element",
})  # fmt: skip
"""Settings that are tried beside the other groups too, which takes trees four times as long."""

LAST_CAGE = "anion_h2_death_max_ang"
OPEN_ANG = 1e-4
TIMED_EVERY = 4
"""Ripser by itself is timed on one hop out of so many."""

COLUMNS = (
    "setting", "keys", "ms a hop", "of it ripser", "cages cut", "alone: MAE (eV)", "below 3 eV",
    "against the base", "all groups: MAE (eV)", "below 3 eV", "against the base",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Median CPU time a hop in ms, of the whole group and of ripser on the same matrices, and what is cut.

    `cut` is the share of hops, among those whose anions close a cage, with one still open at the threshold.
    """

    group_ms: float
    ripser_ms: float
    cut: float


@dataclass(frozen=True)
class Outcome:
    """What one setting costs, and its absolute errors in eV of every row, out of fold; None where not run."""

    name: str
    keys: int
    cost: Cost | None
    alone_ev: NDArray[np.float64] | None
    together_ev: NDArray[np.float64] | None


def labelled_hops() -> list[LabelledHop]:
    """Return the training hops of devi2025 on relaxed paths; the published test hops are never read."""
    entries = devi2025.read_entries(devi2025.find_data_dir(None), "train")
    found: list[LabelledHop] = []
    for start in range(0, len(entries), BATCH):
        found += devi2025.relaxed_hops(entries[start : start + BATCH], "train")
    return found


def topology_under(
    settings: TopologySettings, scenes: Sequence[Scene]
) -> tuple[NDArray[np.float32], GroupSpec, Cost]:
    """Return the group under other settings than the base, what it looks like, and what it costs.

    Parameters
    ----------
    settings : TopologySettings
        The settings.
    scenes : sequence of Scene
        One a hop, at least one.
    """
    rows, group_s, ripser_s = [], [], []
    for place, scene in enumerate(scenes):
        started = time.process_time()
        rows.append(topology(scene.env, scene, settings))
        group_s.append(time.process_time() - started)
        if place % TIMED_EVERY:
            continue
        inputs = rips_inputs(scene, settings)
        started = time.process_time()
        for given in inputs:
            bars_of(given.distances_ang, given.max_dimension, given.threshold_ang)
        ripser_s.append(time.process_time() - started)
    keys = tuple(descriptor.key for descriptor in descriptors(settings))
    spec = GroupSpec(name="topology", version=1, keys=keys, shape=(len(keys),))
    values = np.stack(rows)
    group_ms, ripser_ms = (1e3 * float(np.median(seconds)) for seconds in (group_s, ripser_s))
    return values, spec, Cost(group_ms, ripser_ms, _cut(values, keys, settings))


def _cut(values: NDArray[np.float32], keys: tuple[str, ...], settings: TopologySettings) -> float:
    """Return the share of hops whose anions' last cage is still open at the threshold; NaN without cages."""
    if LAST_CAGE not in keys:
        return float("nan")
    deaths = values[:, keys.index(LAST_CAGE)]
    deaths = deaths[~np.isnan(deaths)]
    return float((deaths > settings.threshold_ang - OPEN_ANG).mean()) if len(deaths) else float("nan")


def with_topology(
    rows: LabelledArrays, values: NDArray[np.float32] | None, spec: GroupSpec, *, alone: bool
) -> LabelledArrays:
    """Return the rows with another group `topology`: by itself, beside the other groups, or left out.

    Parameters
    ----------
    rows : LabelledArrays
        With all groups.
    values : ndarray of shape (n, keys) or None
        The group's array; None leaves the group out.
    spec : GroupSpec
        What it looks like.
    alone : bool
        Whether to drop the other groups.
    """
    others = () if alone else tuple(group for group in rows.spec.groups if group.name != "topology")
    inputs: dict[str, NDArray[np.float32]] = {group.name: rows.inputs[group.name] for group in others}
    groups = others
    if values is not None:
        inputs["topology"] = values
        groups = (*others, spec)
    return replace(rows, inputs=inputs, spec=InputSpec(groups=groups))


def errors_ev(rows: LabelledArrays) -> NDArray[np.float64]:
    """Return the absolute error of each row's barrier, predicted by trees that never saw its host.

    Parameters
    ----------
    rows : LabelledArrays
        Training rows.

    Returns
    -------
    ndarray of shape (n,)
        Means over the seeds, which decide both folds and trees.
    """
    errors = np.zeros((len(SEEDS), len(rows)))
    for place, seed in enumerate(SEEDS):
        folds = host_folds(rows.hosts, FOLDS, seed)
        for fold in range(FOLDS):
            out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            predicted = predict_trees(rows.take(rest), rows.take(out).inputs, seed=seed)
            errors[place, out] = np.abs(predicted - rows.barrier_ev[out])
    return np.asarray(errors.mean(axis=0))


def outcomes(
    hops: Sequence[LabelledHop], candidates: dict[str, TopologySettings]
) -> tuple[LabelledArrays, Iterator[Outcome]]:
    """Return the rows, and for each candidate, last without topology, what it costs and how it errs."""
    scenes = [survey(hop.environment) for hop in hops]
    described = [describe(hop.environment) for hop in hops]
    rows = LabelledArrays(
        inputs={group.name: np.stack([row[group.name] for row in described]) for group in INPUT_SPEC.groups},
        barrier_ev=np.array([hop.barrier_ev for hop in hops]),
        ids=tuple(hop.hop_id for hop in hops),
        hosts=tuple(hop.host_formula for hop in hops),
        ions=tuple(hop.ion for hop in hops),
        spec=INPUT_SPEC,
    )

    def found() -> Iterator[Outcome]:
        for name, settings in candidates.items():
            values, spec, cost = topology_under(settings, scenes)
            alone = errors_ev(with_topology(rows, values, spec, alone=True))
            beside = with_topology(rows, values, spec, alone=False)
            together = errors_ev(beside) if name in TOGETHER else None
            yield Outcome(name, len(spec.keys), cost, alone, together)
        spec = GroupSpec(name="topology", version=1, keys=(), shape=(0,))
        yield Outcome(NO_TOPOLOGY, 0, None, None, errors_ev(with_topology(rows, None, spec, alone=False)))

    return rows, found()


def table_row(outcome: Outcome, first: Outcome, rows: LabelledArrays) -> str:
    """Return one row of the table, in Markdown.

    Parameters
    ----------
    outcome : Outcome
        What the row is of.
    first : Outcome
        That of the base, with which it is compared row by row.
    rows : LabelledArrays
        Barriers and hosts.
    """
    cost = outcome.cost
    cells = [outcome.name, str(outcome.keys), "", "", ""]
    if cost is not None:
        cut = "" if np.isnan(cost.cut) else f"{cost.cut:.2f}"
        cells[2:] = [f"{cost.group_ms:.1f}", f"{cost.ripser_ms:.1f}", cut]
    for error, base in ((outcome.alone_ev, first.alone_ev), (outcome.together_ev, first.together_ev)):
        if error is None or base is None:
            cells += ["", "", ""]
            continue
        below = rows.barrier_ev < COMMON_RANGE_EV
        change = "" if outcome is first else _mean(error - base, rows, below, sign="+")
        cells += [_mean(error, rows, np.ones(len(rows), dtype=bool)), _mean(error, rows, below), change]
    return f"| {' | '.join(cells)} |"


def _mean(values: NDArray[np.float64], rows: LabelledArrays, kept: NDArray[np.bool_], sign: str = "") -> str:
    """Return a mean over some rows with its 95% interval over hosts."""
    hosts = [rows.hosts[k] for k in np.flatnonzero(kept)]
    low, high = interval_over_hosts(values[kept], hosts, host_draws(hosts, seed=0))
    return f"{values[kept].mean():{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def main() -> None:
    """Print the table, a row at a time: it takes some twenty minutes on one core."""
    rows, found = outcomes(labelled_hops(), SETTINGS)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    first: Outcome | None = None
    for outcome in found:
        first = outcome if first is None else first
        print(table_row(outcome, first, rows), flush=True)


if __name__ == "__main__":
    main()
