"""What is done with a batch of materials: rows in, rows out, and no material costs another its result."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from storage.records import Candidate, Failure, Reason, Stage, StageResult
from tasks.candidates.cleaning import clean
from tasks.candidates.source import Rejected, RejectedError
from tasks.hops.errors import NoWorkingIonError, TooManyHopsError
from tasks.limits import TimeLimitError, time_limit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.candidates.cleaning import CleaningSettings
    from tasks.candidates.source import Source, SourceItem

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


def reason_for(error: BaseException) -> Reason:
    """Return the reason under which an error is filed."""
    if isinstance(error, RejectedError):
        return error.reason
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), Reason.UNEXPECTED)


class Known(Protocol):
    """What a failure tells of the candidate that it is about; fields are those of `Candidate`."""

    @property
    def material_id(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def working_ion(self) -> str: ...  # noqa: D102
    @property
    def structure_hash(self) -> str: ...  # noqa: D102
    @property
    def formula(self) -> str: ...  # noqa: D102


def failure_of(error: BaseException, candidate: Known, stage: Stage, stage_key: str) -> Failure:
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
    # Loaded before a time limit runs: an import cut short stays broken.
    import pymatgen.analysis.bond_valence  # noqa: F401

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
            candidates.append(candidate.model_copy(update={"content_hash": item.digest}))
    return candidates, failures
