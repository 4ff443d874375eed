"""What benches measure on: the reference structures, cleaned as a screening cleans them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.candidates.cleaning import CleaningSettings, clean, load_charges, load_structure
from tasks.candidates.reference import SCREEN, ReferenceSource, get
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymatgen.core import Structure

    from tasks.hops.path import HopEnvironment
    from tasks.hops.sites import Charges

WORKING_ION = "Li"


@dataclass(frozen=True)
class Material:
    """A cleaned reference structure."""

    name: str
    structure: Structure
    charges: Charges


def reference_materials(limit: int | None = None) -> Iterator[Material]:
    """Yield the reference structures that are screened, cleaned, at most `limit` of them."""
    source = ReferenceSource()
    items = [item for item in source.items() if get(item.location).expected == SCREEN]
    for item in items[:limit]:
        candidate = clean(source.read(item)[0], CleaningSettings(working_ion=WORKING_ION), "bench")
        yield Material(candidate.material_id, load_structure(candidate), load_charges(candidate))


def reference_hops(limit: int) -> Iterator[tuple[str, HopEnvironment]]:
    """Yield the shortest hop of each of so many reference structures, named, with its surroundings."""
    count = 0
    for material in reference_materials():
        for hop in hop_network(material.structure, WORKING_ION).hops[:1]:
            if count == limit:
                return
            count += 1
            environment = hop_environment(
                material.structure, material.charges, hop.i, hop.j, hop.image, working_ion=WORKING_ION
            )
            yield material.name, environment
