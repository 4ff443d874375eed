"""The reference set: real cathode structures as data, read and expanded by their space group."""

from __future__ import annotations

import hashlib
import tomllib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
from pymatgen.core import Lattice, Structure

from storage.records import Reason
from tasks.candidates.source import RawMaterial, SourceItem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

    from numpy.typing import NDArray

SOURCE_NAME = "reference"
SCREEN = "screen"
"""What ``expected`` says of an entry that must get a result; of any other it names the reason of refusal."""

PROVENANCES = ("experiment", "materials-project", "devi2025")
"""Where the coordinates come from: a published refinement, or a published DFT relaxation."""

CATHODE = "cathode"
"""The role of a host that lithium can leave because a cation in it can be oxidised, charged or not."""

NOT_A_CATHODE = "not_a_cathode"
"""The role of a structural relative, lithium conductor or anode that has no such cation."""

SAME_SITE_ANG = 0.05
"""Images of one site under the space group that lie closer than this are one atom on a special position."""


@contextmanager
def quiet_spglib() -> Iterator[None]:
    """Silence what spglib says on every call: how it will report errors one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class ReferenceDataError(ValueError):
    """The packaged reference data contradict themselves or the format."""


@dataclass(frozen=True)
class ReferenceSite:
    """One site of the asymmetric unit.

    Parameters
    ----------
    species : dict of str to float
        Occupancy of each element.
    wyckoff : str
        Wyckoff position as the source gives it, e.g. ``"4c"``; its number is checked on expansion.
    frac_coords : tuple of float
        Fractional coordinates in the declared setting.
    """

    species: dict[str, float]
    wyckoff: str
    frac_coords: tuple[float, float, float]


@dataclass(frozen=True)
class ReferenceEntry:
    """One structure of the reference set with its source.

    Parameters
    ----------
    material_id : str
        Identifier, ``ref-...``.
    name : str
        What people call it.
    formula : str
        Declared formula.
    role : str
        `CATHODE` or `NOT_A_CATHODE`.
    family : str
        Structural family, the name of its data file.
    space_group_number : int
        Declared number of the space group.
    hall_number : int
        spglib's number of the setting in which lattice and coordinates are given.
    lattice : tuple of float
        a, b, c in Å and alpha, beta, gamma in degrees.
    sites : tuple of ReferenceSite
        The asymmetric unit.
    valences : dict of str to float
        Formal valence of each element, anions negative.
    provenance : str
        One of `PROVENANCES`.
    source_ref : str
        The determination, as one cites it.
    source_doi : str or None
        Its DOI, where known for certain.
    database_id : str or None
        Identifier of the same phase in a database, e.g. ``"mp-19017"``.
    read_from_source : bool
        The figures were read off the source or a database's copy of it while the set was written down.
    devi2025 : str or None
        ``sys_name`` of the same phase in devi2025.
    cell_volume_per_formula_ang3, cell_volume_ref : float or None, str or None
        The same phase's volume per formula unit in another publication, for comparison.
    voltage_v, voltage_ref : float or None, str or None
        Average voltage against Li/Li+, where a source says so.
    max_site_shift_ang : float or None
        How far an atom may lie from where devi2025 has it, where the phase is known to need more than the
        common limit; `note` says why.
    expected : str
        `SCREEN`, or the `storage.records.Reason` for which the entry must be refused.
    note : str or None
        What a reader should know about the structure.
    """

    material_id: str
    name: str
    formula: str
    role: str
    family: str
    space_group_number: int
    hall_number: int
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[ReferenceSite, ...]
    valences: dict[str, float]
    provenance: str
    source_ref: str
    source_doi: str | None = None
    database_id: str | None = None
    read_from_source: bool = False
    devi2025: str | None = None
    cell_volume_per_formula_ang3: float | None = None
    cell_volume_ref: str | None = None
    voltage_v: float | None = None
    voltage_ref: str | None = None
    max_site_shift_ang: float | None = None
    expected: str = SCREEN
    note: str | None = None
    digest: str = field(default="", compare=False)

    @property
    def display_name(self) -> str:
        """Return the name as a ranking shows it: what is no cathode says so."""
        return self.name if self.role == CATHODE else f"{self.name} (not a cathode)"

    @property
    def source(self) -> str:
        """What to look the entry up by: the database's identifier for its own figures, else the DOI."""
        if self.provenance == "materials-project" and self.database_id is not None:
            return self.database_id
        if self.source_doi is not None:
            return f"doi:{self.source_doi}"
        return self.source_ref if self.database_id is None else self.database_id


def _coordinate(value: float | str) -> float:
    """Read a coordinate: a number, or a fraction such as ``"2/3"`` that no decimal holds."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


def _site(raw: Sequence[Any]) -> ReferenceSite:
    """Read one site: [element or {element: occupancy}, Wyckoff position, x, y, z]."""
    species, wyckoff, *xyz = raw
    occupancies = {species: 1.0} if isinstance(species, str) else {k: float(v) for k, v in species.items()}
    x, y, z = (_coordinate(value) for value in xyz)
    return ReferenceSite(occupancies, str(wyckoff), (x, y, z))


def _entry(raw: dict[str, Any], family: str) -> ReferenceEntry:
    """Build one entry from its table in the data file, refusing contradictions."""
    values = dict(raw)
    material_id = str(values.pop("id"))
    lattice = tuple(float(value) for value in values.pop("lattice"))
    sites = tuple(_site(site) for site in values.pop("sites"))
    digest = hashlib.sha256(repr((family, sorted(raw.items(), key=lambda kv: kv[0]))).encode()).hexdigest()
    entry = ReferenceEntry(
        material_id=material_id,
        family=family,
        lattice=lattice,  # type: ignore[arg-type]
        sites=sites,
        digest=digest,
        **values,
    )
    _validate(entry)
    return entry


def _validate(entry: ReferenceEntry) -> None:
    """Refuse an entry whose declarations contradict each other."""
    with quiet_spglib():
        setting = spglib.get_spacegroup_type(entry.hall_number)
    if setting is None or setting.number != entry.space_group_number:
        raise ReferenceDataError(
            f"{entry.material_id}: hall_number {entry.hall_number} is not a setting of space group "
            f"{entry.space_group_number}; look it up in spglib's list of Hall symbols."
        )
    if entry.provenance not in PROVENANCES:
        raise ReferenceDataError(
            f"{entry.material_id}: provenance {entry.provenance!r}; allowed: {', '.join(PROVENANCES)}."
        )
    if entry.role not in {CATHODE, NOT_A_CATHODE}:
        raise ReferenceDataError(
            f"{entry.material_id}: role {entry.role!r}; allowed: {CATHODE!r}, {NOT_A_CATHODE!r}."
        )
    if entry.expected not in {SCREEN, *Reason}:
        raise ReferenceDataError(
            f"{entry.material_id}: expected {entry.expected!r}; allowed: {SCREEN!r} or a reason of refusal."
        )


def data_files() -> tuple[Traversable, ...]:
    """Return the packaged structure files, one a family, in alphabetical order."""
    folder = resources.files("tasks.candidates.reference_data").joinpath("structures")
    return tuple(sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name))


@cache
def entries() -> tuple[ReferenceEntry, ...]:
    """Return every entry of the reference set, family by family.

    Raises
    ------
    ReferenceDataError
        When the packaged data contradict themselves.
    """
    found: list[ReferenceEntry] = []
    for file in data_files():
        family = file.name.removesuffix(".toml")
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        found.extend(_entry(item, family) for item in raw["entry"])
    ids = [entry.material_id for entry in found]
    doubles = sorted({i for i in ids if ids.count(i) > 1})
    if doubles:
        raise ReferenceDataError(f"Identifiers used twice: {', '.join(doubles)}; give each entry its own.")
    return tuple(found)


def get(material_id: str) -> ReferenceEntry:
    """Return the entry of that identifier.

    Raises
    ------
    ReferenceDataError
        When there is none.
    """
    for entry in entries():
        if entry.material_id == material_id:
            return entry
    raise ReferenceDataError(
        f"No reference structure {material_id!r}; `lihop data reference` lists the {len(entries())}."
    )


def _orbit(site: ReferenceSite, entry: ReferenceEntry, lattice: Lattice) -> NDArray[np.float64]:
    """Return the distinct images of a site in the cell, (n, 3)."""
    with quiet_spglib():
        symmetry = spglib.get_symmetry_from_database(entry.hall_number)
    images = symmetry["rotations"] @ np.asarray(site.frac_coords) + symmetry["translations"]
    images = images % 1.0
    kept: list[NDArray[np.float64]] = []
    for image in images:
        delta = np.asarray(kept).reshape(-1, 3) - image
        delta -= np.round(delta)
        if not np.any(np.linalg.norm(lattice.get_cartesian_coords(delta), axis=1) < SAME_SITE_ANG):
            kept.append(image)
    return np.asarray(kept)


def structure(entry: ReferenceEntry) -> Structure:
    """Expand an entry to its conventional cell by the operations of its declared setting.

    Parameters
    ----------
    entry : ReferenceEntry
        The entry; partial occupancy is kept as it is.

    Returns
    -------
    pymatgen.core.Structure
        Conventional cell, sites in the order of the asymmetric unit.

    Raises
    ------
    ReferenceDataError
        When a site does not have the multiplicity of its declared Wyckoff position.
    """
    lattice = Lattice.from_parameters(*entry.lattice)
    species: list[dict[str, float]] = []
    coords: list[NDArray[np.float64]] = []
    for site in entry.sites:
        images = _orbit(site, entry, lattice)
        multiplicity = int("".join(c for c in site.wyckoff if c.isdigit()))
        if len(images) != multiplicity:
            raise ReferenceDataError(
                f"{entry.material_id}: {site.species} at {site.frac_coords} has {len(images)} images, its "
                f"Wyckoff position {site.wyckoff} has {multiplicity}; check setting, origin and coordinates."
            )
        species += [dict(site.species)] * len(images)
        coords += list(images)
    return Structure(lattice, species, np.asarray(coords))


class ReferenceSource:
    """The packaged reference set as a source of candidates."""

    name = SOURCE_NAME

    def items(self) -> list[SourceItem]:
        """Return one item an entry, those that must be refused included."""
        return [SourceItem(self.name, e.material_id, e.material_id, e.digest) for e in entries()]

    def read(self, item: SourceItem) -> list[RawMaterial]:
        """Return the structure of one item."""
        entry = get(item.location)
        with warnings.catch_warnings():
            # pymatgen remarks on occupancies that do not add up to one: the refused entries are meant so.
            warnings.simplefilter("ignore", UserWarning)
            expanded = structure(entry)
        return [
            RawMaterial(
                material_id=entry.material_id,
                structure=expanded,
                source=self.name,
                source_ref=entry.source,
                name=entry.display_name,
                average_voltage_v=entry.voltage_v,
            )
        ]
