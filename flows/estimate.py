"""How much a screening would be, and how long it would take, before it starts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from flows.collecting import collect
from flows.context import Context, blocks
from flows.naming import new_run_id
from flows.planning import plan
from flows.progress import reporter
from flows.running.plain import PlainSteps
from flows.running.pools import pool_of
from tasks.candidates.cleaning import load_charges, load_structure
from tasks.candidates.cleaning_state import CHARGED
from tasks.featurizing import featurize, find_hops, load_libraries
from tasks.limits import TimeLimitError, time_limit

if TYPE_CHECKING:
    from flows.parameters import ScreenParameters

SAMPLE = 5
"""Materials that are described to learn how long a hop takes on this machine."""

STARTUP_S = 12.0
"""An allowance for starting and stopping Prefect, the worker processes and the model.

It is about what a second `lihop screen`, with nothing left to compute, takes on two cores, and the only part
of an estimate that is not measured when it is made.
"""


@dataclass(frozen=True)
class Estimate:
    """What a screening would come to.

    Parameters
    ----------
    n_items : int
        Items that the source has.
    n_candidates : int
        Distinct materials that would be screened.
    n_refused : int
        Everything that is refused, cut off or a duplicate.
    n_known : int
        Materials whose results are there already.
    n_hops : int
        Symmetry-distinct hops of the rest.
    seconds : float
        How long the rest would take, from a sample of it.
    """

    n_items: int
    n_candidates: int
    n_refused: int
    n_known: int
    n_hops: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Return the fields, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return what people read."""
        return (
            f"{self.n_candidates} materials of {self.n_items} source items, "
            f"{self.n_known} of them known already; "
            f"{self.n_refused} refused, cut off or duplicate.\n"
            f"{self.n_hops} hops to describe and predict: about {self.seconds:.0f} s.\n"
            "Nothing was computed but what the count needs."
        )


def estimate_screen(parameters: ScreenParameters) -> Estimate:
    """Read and clean the candidates, count their hops, and time a sample.

    What was read is kept, so that the screening itself need not read it again.
    """
    with pool_of(parameters) as pool:
        context = Context.of(parameters, PlainSteps(pool), new_run_id(), "estimate")
        collected = collect(context)
    left = plan(context, collected.candidates)
    load_libraries(context.hops)
    counts: dict[str, int] = {}
    reporter().stage("counting hops", len(left.to_featurize))
    for candidate in (row for block in blocks(left.to_featurize) for row in context.whole(block)):
        try:
            with time_limit(parameters.time_limit_s):
                network, _ = find_hops(
                    load_structure(candidate),
                    load_charges(candidate),
                    context.hops,
                    charged=candidate.state == CHARGED,
                )
        except (Exception, TimeLimitError):  # noqa: BLE001 - the screening says why
            counts[candidate.structure_hash] = 0
        else:
            counts[candidate.structure_hash] = len(network.hops)
        reporter().advance("counting hops", 1)
    n_hops = sum(counts.values())
    sample = [row for row in left.to_featurize if counts[row.structure_hash]]
    whole = context.whole(sample[:: max(1, len(sample) // SAMPLE)][:SAMPLE])
    started = time.perf_counter()
    featurize(whole, context.hops, "sample", parameters.time_limit_s)
    spent = time.perf_counter() - started
    described = sum(counts[row.structure_hash] for row in whole)
    per_hop_s = spent / described if described else 0.0
    return Estimate(
        n_items=collected.n_items,
        n_candidates=len(collected.candidates),
        n_refused=len(collected.failures),
        n_known=left.n_reused,
        n_hops=n_hops,
        seconds=STARTUP_S + n_hops * per_hop_s / parameters.workers,
    )
