"""What a campaign keeps in mind of each candidate: all that it decides by, without the structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import Candidate

HEAD_COLUMNS = (
    "source",
    "material_id",
    "structure_hash",
    "working_ion",
    "state",
    "material_key",
    "formula",
    "other_ids",
    "own_ids",
    "stage_key",
)


@dataclass(frozen=True, slots=True)
class Head:
    """A candidate by its key, and what merging and planning ask of it; fields are those of `Candidate`.

    Structures are by far the largest part of a candidate: without them, tens of thousands fit in memory.
    """

    source: str
    material_id: str
    structure_hash: str
    working_ion: str
    state: str
    material_key: str
    formula: str
    other_ids: tuple[str, ...] | None
    own_ids: tuple[str, ...] | None
    stage_key: str

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What tells it apart, in the order of `Candidate.key`."""
        return self.source, self.material_id, self.structure_hash, self.working_ion, self.state

    @classmethod
    def of(cls, row: Candidate) -> Head:
        """Return the head of a whole candidate."""
        return cls.from_columns(*(getattr(row, name) for name in HEAD_COLUMNS))

    @classmethod
    def from_columns(cls, *values: object) -> Head:
        """Return the head of the values of `HEAD_COLUMNS`; lists become tuples."""
        return cls(*(tuple(value) if isinstance(value, list) else value for value in values))  # type: ignore[arg-type]
