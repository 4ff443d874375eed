"""What every source of candidates offers: a cheap list of items, and a way to read one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pymatgen.core import Structure

    from storage.records import Reason


class SourceError(ValueError):
    """A source as a whole cannot be used: a folder that is not there, or holds nothing readable."""


class EmptySourceError(SourceError):
    """A source that could be reached and holds nothing to screen."""


class RejectedError(ValueError):
    """One item or structure cannot be screened.

    Parameters
    ----------
    reason : Reason
        The reason as SQL users group by it.
    message : str
        What was given, what is allowed and what to do.
    formula : str, optional
        Reduced formula, where it is known.
    """

    def __init__(self, reason: Reason, message: str, formula: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.formula = formula


@dataclass(frozen=True)
class SourceItem:
    """One thing that a source can read, small enough to travel to a worker.

    Parameters
    ----------
    source : str
        Name of the source.
    item_id : str
        Identifier within the source; a material read from the item carries it, or starts with it, or is named
        by its row where the item is a range of rows.
    location : str
        What the source needs to find the item again (a path, an id).
    digest : str
        SHA-256 of the item's content: equal content need not be read twice.
    """

    source: str
    item_id: str
    location: str
    digest: str


@dataclass(frozen=True)
class RawMaterial:
    """A structure as its source gives it, before cleaning, with what the source knows of it; None is unknown.

    Parameters
    ----------
    material_id : str
        Identifier within the source.
    structure : Structure
        As the source gives it.
    source : str
        Name of the source.
    source_ref : str, optional
        DOI, database id or relative file path.
    name : str, optional
        What people call it.
    other_ids : tuple of str
        Other spellings of the identifier, and other identifiers of the same entry.
    e_above_hull_ev : float, optional
        Energy above hull, eV/atom.
    average_voltage_v : float, optional
        Average voltage against the working ion's metal.
    max_delta_volume_fraction : float, optional
        Largest volume change between charge and discharge, as a fraction.
    stability_charge_ev, stability_discharge_ev : float, optional
        Energy above hull of the charged and of the discharged material, eV/atom.
    band_gap_ev : float, optional
        Band gap.
    origin : str, optional
        Where the database has it from: experiment (a collection's id) or theory.
    last_updated_at : datetime, optional
        When the database last changed it.
    database_version : str, optional
        Version of the database that gave it.
    licence : str, optional
        What the entry comes under.
    """

    material_id: str
    structure: Structure
    source: str
    source_ref: str | None = None
    name: str | None = None
    e_above_hull_ev: float | None = None
    average_voltage_v: float | None = None
    other_ids: tuple[str, ...] = ()
    max_delta_volume_fraction: float | None = None
    stability_charge_ev: float | None = None
    stability_discharge_ev: float | None = None
    band_gap_ev: float | None = None
    origin: str | None = None
    last_updated_at: datetime | None = None
    database_version: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Rejected:
    """A structure of an item that cannot be read, while the item's others can.

    Parameters
    ----------
    material_id : str
        What the material would have been called.
    error : RejectedError
        Why it cannot be read.
    """

    material_id: str
    error: RejectedError


class Source(Protocol):
    """Where candidates come from. Must be picklable: workers read the items."""

    @property
    def name(self) -> str:
        """Name under which its candidates are recorded."""

    def items(self) -> Sequence[SourceItem]:
        """Return what there is to read, without reading structures.

        Raises
        ------
        SourceError
            When the source holds nothing that can be read.
        """

    def read(self, item: SourceItem) -> Sequence[RawMaterial | Rejected]:
        """Return the structures of one item, and what stands for those of them that cannot be read.

        Raises
        ------
        RejectedError
            When nothing of the item can be read.
        """
