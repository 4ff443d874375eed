"""Candidates made of small crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.candidates.cleaning import CleaningSettings, clean
from tasks.candidates.source import RawMaterial

if TYPE_CHECKING:
    from pymatgen.core import Structure


def _candidate(structure: Structure, material_id: str = "m", working_ion: str = "Li"):
    raw = RawMaterial(material_id=material_id, structure=structure, source="files")
    return clean(raw, CleaningSettings(working_ion), f"cleaned {material_id}")


@pytest.fixture(scope="session")
def candidate_of():
    return _candidate
