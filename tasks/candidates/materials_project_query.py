"""What is asked of the Materials Project: bounds and filters, and how its client is told of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from tasks.candidates.remote_query import RemoteQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

WorkingIon = Literal["Li", "Na", "K", "Mg", "Ca", "Zn", "Al"]

SYMBOL = re.compile(r"[A-Z][a-z]?")
MATERIAL_ID = re.compile(r"(mp|mvc)-[0-9a-z]+")
TRANSITION_METALS = frozenset(
    "Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Tc Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Au Hg".split()  # noqa: SIM905
)
RANGES = (
    ("voltage_min_v", "voltage_max_v"),
    ("capacity_min_mah_g", "capacity_max_mah_g"),
)
ELECTRODE_FIELDS = (
    "voltage_min_v",
    "voltage_max_v",
    "capacity_min_mah_g",
    "capacity_max_mah_g",
    "stability_charge_max_ev",
    "stability_discharge_max_ev",
    "volume_change_max_fraction",
)

Range = tuple[float | None, float | None]


class MaterialsProjectQuery(RemoteQuery):
    """What is asked of the Materials Project; bad values are refused before anything is sent."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, title="Materials Project query"
    )

    kind: Literal["electrodes", "oxides", "materials"] = Field(
        default="electrodes",
        title="Kind",
        description="electrodes: insertion electrodes of the working ion. oxides: materials of the working "
        "ion, oxygen and a transition metal, whatever else they hold. materials: any that hold the working "
        "ion, by chemical system, elements or ids.",
    )
    working_ion: WorkingIon = Field(
        default="Li", title="Working ion", description="Element symbol of the ion that moves."
    )
    chemsys: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        title="Chemical systems",
        description="Only these, the working ion included: Li-Co-O. Left out: any.",
    )
    elements: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        title="Elements",
        description="Elements that every material must hold, beside the working ion.",
    )
    exclude_elements: tuple[str, ...] = Field(
        default=(), max_length=100, title="Without", description="Elements that no material may hold."
    )
    material_ids: tuple[str, ...] = Field(
        default=(),
        max_length=10_000,
        title="Material ids",
        description="Only these, in either spelling (mp-22526, mp-aaaabhik), whatever the bounds below; of "
        "electrodes, the id of the discharged material.",
    )
    e_above_hull_max_ev: float | None = Field(
        default=0.1,
        ge=0,
        le=10,
        title="Most above the hull (eV/atom)",
        description="Energy above hull of the material that is screened; none takes any, and unknown ones.",
    )
    max_sites: int | None = Field(
        default=300,
        ge=1,
        le=5000,
        title="Most sites",
        description="Largest cell, as the database has it; none takes any.",
    )
    voltage_min_v: float | None = Field(
        default=None, ge=-10, le=10, title="Least voltage (V)", description="Of electrodes, on average."
    )
    voltage_max_v: float | None = Field(
        default=None, ge=-10, le=10, title="Most voltage (V)", description="Of electrodes, on average."
    )
    capacity_min_mah_g: float | None = Field(
        default=None, ge=0, le=10_000, title="Least capacity (mAh/g)", description="Of electrodes."
    )
    capacity_max_mah_g: float | None = Field(
        default=None, ge=0, le=10_000, title="Most capacity (mAh/g)", description="Of electrodes."
    )
    stability_charge_max_ev: float | None = Field(
        default=None,
        ge=0,
        le=10,
        title="Charged: most above the hull (eV/atom)",
        description="Energy above hull of an electrode's charged material.",
    )
    stability_discharge_max_ev: float | None = Field(
        default=None,
        ge=0,
        le=10,
        title="Discharged: most above the hull (eV/atom)",
        description="Energy above hull of an electrode's discharged material, as the battery states it.",
    )
    volume_change_max_fraction: float | None = Field(
        default=None,
        ge=0,
        le=10,
        title="Most volume change (fraction)",
        description="Of electrodes between charge and discharge: 0.1 is 10 %.",
    )
    include_gnome: bool = Field(
        default=False,
        title="With GNoME",
        description="Take GNoME's entries too. They come under CC BY-NC 4.0: not for commercial use.",
    )

    @field_validator("elements", "exclude_elements")
    @classmethod
    def _symbols(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in given:
            if SYMBOL.fullmatch(symbol) is None:
                raise ValueError(f"{symbol!r} is no element symbol; give symbols such as Li, Mn, O")
        return tuple(sorted(set(given)))

    @field_validator("chemsys")
    @classmethod
    def _systems(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        found = set()
        for system in given:
            symbols = system.split("-")
            if not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
                raise ValueError(f"{system!r} is no chemical system; give symbols with dashes: Li-Co-O")
            found.add("-".join(sorted(set(symbols))))
        return tuple(sorted(found))

    @field_validator("material_ids")
    @classmethod
    def _ids(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            if MATERIAL_ID.fullmatch(one) is None:
                raise ValueError(f"{one!r} is no id of the Materials Project; give ids such as mp-22526")
        return tuple(sorted(set(given)))

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for low, high in RANGES:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least:g} is above {high} {most:g}; nothing lies between them")
        if self.kind != "electrodes":
            wrong = [name for name in ELECTRODE_FIELDS if getattr(self, name) is not None]
            if wrong:
                raise ValueError(f"{', '.join(wrong)} go with the kind 'electrodes', not with {self.kind!r}")
        if self.kind == "materials" and not (self.chemsys or self.elements or self.material_ids):
            raise ValueError(
                "the kind 'materials' needs a filter: give chemsys, elements or material_ids, "
                "or take the kind 'oxides'"
            )
        missing = [system for system in self.chemsys if self.working_ion not in system.split("-")]
        if missing:
            raise ValueError(f"chemsys {missing[0]!r} lacks the working ion {self.working_ion}; add it")
        if self.material_ids and (self.chemsys or self.elements or self.exclude_elements):
            raise ValueError("material_ids go without chemsys, elements and exclude_elements; take away one")
        both = set(self.exclude_elements) & self.must_hold()
        if both:
            raise ValueError(f"{', '.join(sorted(both))} must be held and is excluded; take one away")
        return self

    def must_hold(self) -> frozenset[str]:
        """Return the elements that every material holds."""
        more = {"O"} if self.kind == "oxides" else set()
        return frozenset({self.working_ion, *self.elements} | more)

    def summary_filters(self) -> dict[str, Any]:
        """Return the arguments of the client's summary search; at least one of them is always a filter."""
        filters: dict[str, Any] = {"deprecated": False, "include_gnome": self.include_gnome}
        if self.chemsys:
            filters["chemsys"] = list(self.chemsys)
        filters["elements"] = sorted(self.must_hold())
        if self.exclude_elements:
            filters["exclude_elements"] = list(self.exclude_elements)
        if self.e_above_hull_max_ev is not None:
            filters["energy_above_hull"] = (None, self.e_above_hull_max_ev)
        if self.max_sites is not None:
            filters["num_sites"] = (None, self.max_sites)
        return filters

    def electrode_filters(self) -> dict[str, Any]:
        """Return the arguments of the client's electrode search; the working ion is always among them."""
        filters: dict[str, Any] = {"working_ion": self.working_ion}
        ranges: dict[str, Range] = {
            "average_voltage": (self.voltage_min_v, self.voltage_max_v),
            "capacity_grav": (self.capacity_min_mah_g, self.capacity_max_mah_g),
            "stability_charge": (None, self.stability_charge_max_ev),
            "stability_discharge": (None, self.stability_discharge_max_ev),
            "max_delta_volume": (None, self.volume_change_max_fraction),
        }
        filters.update({name: bounds for name, bounds in ranges.items() if bounds != (None, None)})
        return filters

    def keeps(
        self,
        elements: Iterable[str] | None,
        e_above_hull_ev: float | None,
        n_sites: int | None,
        *,
        gnome: bool,
    ) -> bool:
        """Say whether a summary document is one that is asked for, whatever the server was asked.

        What the document does not say (None) does not speak against it, but for the energy above hull. A
        material that is asked for by its id is kept whatever the bounds are.
        """
        if gnome and not self.include_gnome:
            return False
        if self.material_ids:
            return True
        if self.e_above_hull_max_ev is not None and (
            e_above_hull_ev is None or e_above_hull_ev > self.e_above_hull_max_ev
        ):
            return False
        if self.max_sites is not None and n_sites is not None and n_sites > self.max_sites:
            return False
        return elements is None or self._holds(frozenset(elements))

    def _holds(self, held: frozenset[str]) -> bool:
        if not self.must_hold() <= held or held & set(self.exclude_elements):
            return False
        if self.kind == "oxides" and not held & TRANSITION_METALS:
            return False
        return not self.chemsys or "-".join(sorted(held)) in self.chemsys
