"""The Materials Project's documents: each checked alone, made into entries, and those into raw materials."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from storage.records import Reason
from tasks.candidates.materials_project_query import MATERIAL_ID
from tasks.candidates.source import RawMaterial, RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

NAME = "mp"
LICENCE = "CC-BY-4.0"
GNOME_LICENCE = "CC-BY-NC-4.0"

SLIM_FIELDS = (
    "material_id", "last_updated", "deprecated", "formula_pretty", "chemsys", "elements", "nsites",
    "energy_above_hull", "band_gap", "symmetry", "theoretical", "database_IDs", "builder_meta",
)  # fmt: skip
SUMMARY_FIELDS = (*SLIM_FIELDS, "origins", "structure")
ELECTRODE_FIELDS = (
    "working_ion", "material_ids", "id_charge", "id_discharge", "formula_charge", "formula_discharge",
    "framework_formula", "battery_formula", "num_steps", "average_voltage", "capacity_grav", "capacity_vol",
    "energy_grav", "energy_vol", "max_delta_volume", "stability_charge", "stability_discharge",
)  # fmt: skip

SHOWN_ERRORS = 3
SHOWN_CHARACTERS = 300


def normal_id(given: object) -> str:
    """Return an id in its one spelling: mp-22526 where there is such a number, else mp-aaavwyxj.

    Raises
    ------
    ValueError
        When it is no id of the Materials Project.
    """
    from emmet.core.types.typing import format_identifier

    if not isinstance(given, str) or MATERIAL_ID.fullmatch(given) is None:
        raise ValueError(f"{shown(given)} is no id of the Materials Project, such as mp-22526 or mp-aaaabhik")
    # Letters may be padded or not, and where they have no number the client leaves them as they are.
    padded = str(format_identifier(given, legacy=False)) if given.startswith("mp-") else given
    return str(format_identifier(padded, legacy=True))


def other_spellings(material_id: str) -> tuple[str, ...]:
    """Return how else the database writes an id that is in its normal spelling."""
    from emmet.core.types.typing import format_identifier

    # An mvc number has no other spelling: its letters belong to the mp number of the same value.
    if not material_id.startswith("mp-"):
        return ()
    other = str(format_identifier(material_id, legacy=False))
    return () if other == material_id else (other,)


def shown(value: object) -> str:
    """Return what was given, short enough for a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _moment(given: object) -> object:
    """Read {"$date": ...} as the database's exports have it; a stamp without a zone is UTC."""
    if isinstance(given, dict):
        given = given.get("$date")
    if isinstance(given, str):
        given = datetime.fromisoformat(given)
    if isinstance(given, datetime) and given.tzinfo is None:
        return given.replace(tzinfo=UTC)
    return given


Identifier = Annotated[str, BeforeValidator(normal_id)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Vector = Annotated[list[float], Field(min_length=3, max_length=3)]


class Document(BaseModel):
    """A part of an answer: fields that are not named here do not matter."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Occupant(Document):
    """An element of a site and its share of it."""

    element: str = Field(pattern=r"^[A-Z][a-z]?$")
    occu: float = Field(default=1.0, gt=0, le=1.001)


class SiteDocument(Document):
    """One site."""

    species: list[Occupant] = Field(min_length=1)
    abc: Vector


class LatticeDocument(Document):
    """Lattice vectors in Å, a row each."""

    matrix: list[Vector] = Field(min_length=3, max_length=3)

    @model_validator(mode="after")
    def _has_a_volume(self) -> LatticeDocument:
        a, b, c = self.matrix
        volume = sum(
            a[i] * (b[(i + 1) % 3] * c[(i + 2) % 3] - b[(i + 2) % 3] * c[(i + 1) % 3]) for i in range(3)
        )
        if not math.isfinite(volume) or abs(volume) < 1e-3:  # noqa: PLR2004 - Å³, less than any atom has
            raise ValueError("the lattice vectors span no volume")
        return self


class StructureDocument(Document):
    """Of a structure what decides it."""

    lattice: LatticeDocument
    sites: list[SiteDocument] = Field(min_length=1)

    @model_validator(mode="after")
    def _of_elements(self) -> StructureDocument:
        from pymatgen.core import Element

        for site in self.sites:
            for occupant in site.species:
                if not Element.is_valid_symbol(occupant.element):
                    raise ValueError(f"{occupant.element} is no element")
        return self


class Symmetry(Document):
    """Space group as the database has it."""

    number: int | None = Field(default=None, ge=1, le=230)
    symbol: str | None = None


class BuilderMeta(Document):
    """Where a document was made, as far as its licence goes."""

    batch_id: str | None = None
    license: str | None = None


class OriginDocument(Document):
    """The calculation that a property comes from."""

    name: str | None = None
    task_id: str | None = None


class SlimSummary(Document):
    """A summary document without its structure."""

    material_id: Identifier
    last_updated: Moment | None = None
    deprecated: bool = False
    formula_pretty: str | None = None
    chemsys: str | None = None
    elements: list[str] | None = None
    nsites: int | None = Field(default=None, ge=1)
    energy_above_hull: float | None = None
    band_gap: float | None = None
    symmetry: Symmetry | None = None
    theoretical: bool | None = None
    database_IDs: dict[str, list[str]] | None = None  # noqa: N815 - the database's name for it
    builder_meta: BuilderMeta | None = None

    @property
    def gnome(self) -> bool:
        """Whether it is one of GNoME's, or under its licence."""
        meta = self.builder_meta
        return meta is not None and (meta.license == "BY-NC" or "gnome" in (meta.batch_id or ""))

    @property
    def licence(self) -> str:
        """SPDX identifier of what it comes under."""
        return GNOME_LICENCE if self.gnome else LICENCE

    def content(self) -> dict[str, Any]:
        """Return plain JSON types, the same for the same facts in whatever order and spelling."""
        found = self.model_dump(mode="json", exclude={"builder_meta", "deprecated", "database_IDs"})
        found["elements"] = None if self.elements is None else sorted(self.elements)
        ids = self.database_IDs
        found["database_ids"] = None if ids is None else {name: sorted(set(ids[name])) for name in ids}
        found["licence"] = self.licence
        return found


class Summary(SlimSummary):
    """A summary document with its structure."""

    structure: StructureDocument
    origins: list[OriginDocument] | None = None

    def content(self) -> dict[str, Any]:
        """Return plain JSON types, the same for the same facts in whatever order and spelling."""
        found = super().content()
        tasks = [one.task_id for one in self.origins or () if one.name == "structure" and one.task_id]
        found["origins"] = None
        if tasks:
            task = tasks[0]
            task = normal_id(task) if MATERIAL_ID.fullmatch(task) else task
            found["origins"] = [{"name": "structure", "task_id": task}]
        return found


class Electrode(Document):
    """An insertion electrode document, without structures."""

    working_ion: str = Field(pattern=r"^[A-Z][a-z]?$")
    id_discharge: Identifier
    id_charge: Identifier | None = None
    material_ids: list[Identifier] | None = None
    formula_charge: str | None = None
    formula_discharge: str | None = None
    framework_formula: str | None = None
    battery_formula: str | None = None
    num_steps: int | None = None
    average_voltage: float | None = None
    capacity_grav: float | None = None
    capacity_vol: float | None = None
    energy_grav: float | None = None
    energy_vol: float | None = None
    max_delta_volume: float | None = None
    stability_charge: float | None = None
    stability_discharge: float | None = None

    @property
    def key(self) -> str:
        """The id of its entry: of the discharged material and the ion, since a battery's own id may drift."""
        return f"{self.id_discharge}-{self.working_ion}"

    def content(self) -> dict[str, Any]:
        """Return plain JSON types, the same for the same facts; not which materials the battery groups."""
        return self.model_dump(mode="json", exclude={"material_ids"})


def chosen_electrode(electrodes: Sequence[Electrode]) -> dict[str, Any]:
    """Return the content of the one that stands for several of one key, whatever order they came in.

    It is the one of the largest capacity, then of the lowest id when charged. The others are noted in it.
    """
    contents = sorted(
        {json.dumps(one.content(), sort_keys=True): one.content() for one in electrodes}.values(),
        key=lambda c: (
            -math.inf if c["capacity_grav"] is None else -c["capacity_grav"],
            c["id_charge"] or "",
            json.dumps(c, sort_keys=True),
        ),
    )
    noted = ("id_charge", "formula_charge", "average_voltage", "capacity_grav")
    return contents[0] | {"others": [{name: one[name] for name in noted} for one in contents[1:]]}


Kind = TypeVar("Kind", bound=Document)


def read_document(kind: type[Kind], given: object) -> Kind:
    """Return a document that was checked.

    Raises
    ------
    RejectedError
        ``malformed_document``, saying what is wrong with it.
    """
    try:
        return kind.model_validate(given)
    except (ValidationError, OverflowError) as error:
        raise RejectedError(Reason.MALFORMED_DOCUMENT, _said(given, error)) from None


def name_of(given: object, fallback: str) -> str:
    """Return what to call a document that cannot be used: its id, else what stands for one."""
    if isinstance(given, dict):
        for field in ("material_id", "id_discharge"):
            if isinstance(given.get(field), str) and MATERIAL_ID.fullmatch(given[field]):
                return normal_id(given[field])
    return fallback


def _said(given: object, error: ValidationError | OverflowError) -> str:
    advice = "report it to the Materials Project; the others were kept"
    if not isinstance(error, ValidationError):
        return f"the document cannot be used ({error}); {advice}"
    wrong = []
    for one in error.errors(include_url=False, include_context=False)[:SHOWN_ERRORS]:
        place = ".".join(str(part) for part in one["loc"]) or type(given).__name__
        value = "" if one["type"] == "missing" else f", given was {shown(one['input'])}"
        wrong.append(f"{place}: {one['msg']}{value}")
    return f"the document cannot be used: {'; '.join(wrong)}; {advice}"


def raw_material(content: Mapping[str, Any]) -> RawMaterial:
    """Return the material of an entry's content.

    Raises
    ------
    RejectedError
        ``malformed_document``, when the content is none that this module made.
    """
    summary, electrode = content.get("summary"), content.get("electrode")
    if not isinstance(summary, dict) or "material_id" not in summary:
        raise RejectedError(Reason.MALFORMED_DOCUMENT, "an entry without its summary; sync again")
    checked = read_document(Summary, summary)
    battery = None if electrode is None else read_document(Electrode, electrode)
    entry_id = checked.material_id if battery is None else battery.key
    ids = other_spellings(checked.material_id)
    if entry_id != checked.material_id:
        ids = (checked.material_id, *ids)
    return RawMaterial(
        material_id=entry_id,
        structure=_structure(checked.structure),
        source=NAME,
        source_ref=checked.material_id,
        other_ids=ids,
        e_above_hull_ev=checked.energy_above_hull,
        band_gap_ev=checked.band_gap,
        average_voltage_v=None if battery is None else battery.average_voltage,
        max_delta_volume_fraction=None if battery is None else battery.max_delta_volume,
        stability_charge_ev=None if battery is None else battery.stability_charge,
        stability_discharge_ev=None if battery is None else battery.stability_discharge,
        origin=_origin(checked.theoretical, summary.get("database_ids")),
        last_updated_at=checked.last_updated,
        licence=summary.get("licence"),
    )


def _structure(document: StructureDocument) -> Structure:
    from pymatgen.core import Lattice, Structure

    species = []
    for site in document.sites:
        # One element may be there twice, with different charges.
        shares: dict[str, float] = {}
        for occupant in site.species:
            shares[occupant.element] = shares.get(occupant.element, 0.0) + occupant.occu
        species.append(shares)
    return Structure(Lattice(document.lattice.matrix), species, [site.abc for site in document.sites])


def _origin(theoretical: bool | None, database_ids: dict[str, list[str]] | None) -> str | None:  # noqa: FBT001
    if theoretical is None:
        return None
    if theoretical:
        return "theory"
    ids = sorted((one for many in (database_ids or {}).values() for one in many), key=_natural)
    return f"experiment ({ids[0]})" if ids else "experiment"


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
