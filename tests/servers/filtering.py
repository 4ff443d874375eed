"""Reads the query parameters that the real client sends, and says which materials they select."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emmet.core.types.typing import format_identifier
from pymatgen.core import Composition, Element

from tests.servers.documents import TABLES
from tests.servers.material import GNOME_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers.material import Material

    Test = Callable[[Material], bool]

MAX_LIMIT = 1000
RANGES = {
    "summary": (
        "energy_above_hull", "nsites", "volume", "density", "band_gap", "efermi", "total_magnetization",
        "total_magnetization_normalized_vol", "total_magnetization_normalized_formula_units",
        "num_magnetic_sites", "num_unique_magnetic_sites", "k_voigt", "k_reuss", "k_vrh", "g_voigt",
        "g_reuss", "g_vrh", "e_total", "e_ionic", "e_electronic", "n", "weighted_surface_energy",
        "weighted_work_function", "shape_factor", "energy_per_atom", "formation_energy_per_atom",
        "uncorrected_energy_per_atom", "equilibrium_reaction_energy_per_atom", "universal_anisotropy",
        "homogeneous_poisson", "nelements", "e_ij_max", "surface_anisotropy",
    ),
    "electrodes": (
        "average_voltage", "capacity_grav", "capacity_vol", "energy_grav", "energy_vol", "fracA_charge",
        "fracA_discharge", "max_delta_volume", "max_voltage_step", "nelements", "num_steps",
        "stability_charge", "stability_discharge",
    ),
}  # fmt: skip
"""Numbers that `..._min` and `..._max` select by; a document without the number is not selected."""

FLAGS = ("is_stable", "is_gap_direct", "is_metal", "has_reconstructed", "theoretical")
ANONYMOUS = re.compile(r"(?:[A-F][0-9.]*){2,}")


class RefusedError(ValueError):
    """The query cannot be answered: the status, and the `detail` of the answer."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Query:
    """One request for documents: which, how many, from where, and what of them."""

    kind: str
    tests: tuple[Test, ...]
    key: tuple[tuple[str, str], ...]
    fields: tuple[str, ...] | None
    limit: int
    skip: int
    sort: tuple[str, ...]

    def selects(self, material: Material) -> bool:
        return all(test(material) for test in self.tests)


def number(name: str, text: str, kind: type = float) -> Any:
    try:
        return kind(text)
    except ValueError:
        what = "integer" if kind is int else "number"
        wrong = {"loc": ["query", name], "msg": f"Input should be a valid {what}", "input": text}
        raise RefusedError(422, [wrong]) from None


def flag(name: str, text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise RefusedError(422, [{"loc": ["query", name], "msg": "Input should be a valid boolean"}])
    return known[text.lower()]


def symbols(name: str, text: str) -> set[str]:
    found = set(text.split(","))
    for symbol in found:
        if not Element.is_valid_symbol(symbol):
            raise RefusedError(400, f"Please provide a comma-seperated list of elements in {name}: {text}")
    return found


def numbers_of(text: str) -> frozenset[str]:
    """Return identifiers in their legacy spelling."""
    return frozenset(str(format_identifier(one.strip(), legacy=True)) for one in text.split(","))


def read_ids(_kind: str, _name: str, text: str) -> Test:
    wanted = numbers_of(text)
    return lambda m: f"mp-{m.facts.number}" in wanted


def read_battery_ids(_kind: str, _name: str, text: str) -> Test:
    pairs = {(*numbers_of(one.partition("_")[0]), one.partition("_")[2]) for one in text.split(",")}
    return lambda m: (f"mp-{m.battery_number}", m.facts.ion) in pairs


def read_range(kind: str, name: str, text: str) -> Test:
    field, _, side = name.rpartition("_")
    bound = number(name, text)
    read = TABLES[kind].get(field)

    def test(material: Material) -> bool:
        value = None if read is None else read(material)
        return value is not None and (value >= bound if side == "min" else value <= bound)

    return test


def read_flag(kind: str, name: str, text: str) -> Test:
    wanted = flag(name, text)
    read = TABLES[kind].get(name)
    return lambda m: read is not None and read(m) == wanted


def read_elements(kind: str, name: str, text: str) -> Test:
    wanted = symbols(name, text)
    read = TABLES[kind]["elements"]
    if name == "elements":
        return lambda m: wanted <= set(read(m))
    return lambda m: not wanted & set(read(m))


def read_chemsys(kind: str, _name: str, text: str) -> Test:
    systems = [one.split("-") for one in text.split(",")]
    read = TABLES[kind]["elements"]

    def test(material: Material) -> bool:
        has = set(read(material))
        return any(
            has == set(system) or ("*" in system and len(has) == len(system) and set(system) - {"*"} <= has)
            for system in systems
        )

    return test


def read_formula(kind: str, name: str, text: str) -> Test:
    wanted: set[str] = set()
    for one in text.split(","):
        if "*" in one:
            raise RefusedError(400, f"this server knows no wildcards in a {name}: {one}")
        anonymous = ANONYMOUS.fullmatch(one) is not None
        made = Composition(one)
        wanted.add(made.anonymized_formula if anonymous else made.reduced_formula)

    def test(material: Material) -> bool:
        both = [material.composition] if kind == "summary" else [material.composition, material.host]
        return any(wanted & {one.reduced_formula, one.anonymized_formula} for one in both)

    return test


def read_working_ion(_kind: str, name: str, text: str) -> Test:
    wanted = symbols(name, text)
    return lambda m: m.facts.ion in wanted


def read_symmetry(_kind: str, name: str, text: str) -> Test:
    wanted = text.split(",")
    return {
        "crystal_system": lambda m: m.symmetry.system in wanted,
        "spacegroup_symbol": lambda m: m.symmetry.symbol in wanted,
        "spacegroup_number": lambda m: str(m.symmetry.number) in wanted,
    }[name]


def read_props(_kind: str, _name: str, text: str) -> Test:
    return lambda m: all(TABLES["summary"]["has_props"](m).get(prop) for prop in text.split(","))


def read_species(_kind: str, _name: str, text: str) -> Test:
    return lambda m: set(text.split(",")) <= set(TABLES["summary"]["possible_species"](m))


def read_batch(_kind: str, _name: str, text: str) -> Test:
    return lambda m: not (m.facts.gnome and text == GNOME_BATCH)


def read_ordering(_kind: str, _name: str, text: str) -> Test:
    return lambda _m: text == "NM"


BOTH = {"elements": read_elements, "exclude_elements": read_elements, "formula": read_formula}
READERS: dict[str, dict[str, Callable[[str, str, str], Test]]] = {
    "summary": {
        **BOTH,
        "chemsys": read_chemsys,
        "material_ids": read_ids,
        "possible_species": read_species,
        "has_props": read_props,
        "batch_id_not_eq": read_batch,
        "ordering": read_ordering,
        **dict.fromkeys(("crystal_system", "spacegroup_symbol", "spacegroup_number"), read_symmetry),
        **dict.fromkeys(FLAGS, read_flag),
    },
    "electrodes": {**BOTH, "battery_ids": read_battery_ids, "working_ion": read_working_ion},
}
for _kind, _names in RANGES.items():
    READERS[_kind].update(
        dict.fromkeys([f"{n}_{side}" for n in _names for side in ("min", "max")], read_range)
    )

PAGING = {"_limit", "_skip", "_page", "_per_page", "_fields", "_all_fields", "_sort_fields"}


def read_query(kind: str, given: Mapping[str, str], default_fields: tuple[str, ...]) -> Query:
    """Read a request's parameters.

    Raises
    ------
    RefusedError
        For a parameter that the endpoint does not have, or a value that it does not take.
    """
    known = set(READERS[kind]) | PAGING | ({"deprecated"} if kind == "summary" else set())
    if unknown := sorted(set(given) - known):
        names = ", ".join(unknown)
        raise RefusedError(400, f"Request contains query parameters which cannot be used: {names}")
    tests = [READERS[kind][name](kind, name, text) for name, text in given.items() if name in READERS[kind]]
    if kind == "summary":
        # As the real one: deprecated documents are given only when asked for.
        wanted = flag("deprecated", given.get("deprecated", "false"))
        tests.append(lambda m: m.facts.deprecated == wanted)
    limit, skip = _paging(given)
    fields: tuple[str, ...] | None = tuple(given.get("_fields", ",".join(default_fields)).split(","))
    if flag("_all_fields", given.get("_all_fields", "false")):
        fields = None
    sort = tuple(one for one in given.get("_sort_fields", "").split(",") if one)
    key = tuple(sorted((name, text) for name, text in given.items() if name not in PAGING))
    return Query(kind, tuple(tests), key, fields, limit, skip, sort)


def _paging(given: Mapping[str, str]) -> tuple[int, int]:
    """Return the most documents of the answer, and how many come before them."""
    paged = "_page" in given
    name = "_per_page" if paged else "_limit"
    limit = number(name, given.get(name, "100"), int)
    if limit > MAX_LIMIT:
        raise RefusedError(400, f"'{name}' must be less than or equal to {MAX_LIMIT}")
    skip = (
        max(number("_page", given["_page"], int) - 1, 0) * limit
        if paged
        else number("_skip", given.get("_skip", "0"), int)
    )
    if limit < 0 or skip < 0:
        raise RefusedError(422, "paging parameters must not be negative")
    return limit, skip
