"""What all row types share: the frozen base class, and the words that stages and failures go by."""

from __future__ import annotations

import enum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Stage(enum.StrEnum):
    """The stage of a screening at which something was computed or failed."""

    CANDIDATES = "candidates"
    HOPS = "hops"
    DESCRIPTORS = "descriptors"
    PREDICTION = "prediction"
    PERCOLATION = "percolation"


class Reason(enum.StrEnum):
    """Why a material, or a part of it, has no result. One word an SQL user can group by."""

    UNREADABLE_FILE = "unreadable_file"
    FILE_TOO_LARGE = "file_too_large"
    NO_WORKING_ION = "no_working_ion"
    PARTIAL_OCCUPANCY = "partial_occupancy"
    OVERLAPPING_ATOMS = "overlapping_atoms"
    SINGLE_SITE = "single_site"
    NO_ANIONS = "no_anions"
    DUPLICATE = "duplicate"
    TOO_MANY_SITES = "too_many_sites"
    TOO_MANY_HOPS = "too_many_hops"
    LIMIT = "limit"
    TIME_LIMIT = "time_limit"
    NO_HOPS = "no_hops"
    MALFORMED_DOCUMENT = "malformed_document"
    VANISHED = "vanished"
    WORKER_LOST = "worker_lost"
    DAMAGED_SHARD = "damaged_shard"
    UNEXPECTED = "unexpected"


class Row(BaseModel):
    """A frozen row. Unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
