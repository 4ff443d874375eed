"""Sites of a structure: which ones hold the working ion, and what charge each site carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Charges:
    """Oxidation states of a structure's sites, and how they were found.

    Parameters
    ----------
    values : tuple of float or None
        One a site, in the stored order; None where unknown.
    method : {"bond_valence", "composition"} or None
        How they were assigned; None when neither way worked.
    """

    values: tuple[float | None, ...]
    method: Literal["bond_valence", "composition"] | None
