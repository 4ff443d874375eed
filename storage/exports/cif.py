"""Structures as CIF: every site listed, none left to symmetry, with lihop's identifiers as data names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.exports.materials import CHARGE, IDENTITY

if TYPE_CHECKING:
    from pymatgen.core import Structure

HEADER = """\
# Written by lihop. Every site of the stored cell is listed, without symmetry; the number in a label is the
# site's index, as in the columns i and j of hops. A question mark is what is not known.
"""

_SYMMETRY = """\
_symmetry_space_group_name_H-M 'P 1'
_symmetry_Int_Tables_number 1
loop_
_symmetry_equiv_pos_site_id
_symmetry_equiv_pos_as_xyz
1 'x, y, z'"""

_ATOMS = """\
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy"""


def cif_block(structure: Structure, block: str) -> str:
    """Return a data block.

    Parameters
    ----------
    structure : pymatgen Structure
        As `storage.exports.materials.structure_of` returns it.
    block : str
        Name of the block, without spaces.
    """
    lines = [f"data_{block}"]
    lines += [f"_lihop_{name} {_text(structure.properties[name])}" for name in IDENTITY]
    lines.append(f"_chemical_formula_sum {_text(structure.composition.formula)}")
    lattice = structure.lattice
    for kind, names, values in (
        ("length", "a b c", lattice.abc),
        ("angle", "alpha beta gamma", lattice.angles),
    ):
        lines += [
            f"_cell_{kind}_{name} {value:.10f}" for name, value in zip(names.split(), values, strict=True)
        ]
    lines.append(f"_cell_volume {lattice.volume:.8f}")
    lines.append(_SYMMETRY)
    charges = structure.site_properties.get(CHARGE)
    elements = [site.specie.symbol for site in structure]
    # Charges go by kind of atom in CIF, so that one that is not known would stand for 0: all or none.
    kinds = elements
    if charges is not None and None not in charges:
        kinds = [_ion(element, charge) for element, charge in zip(elements, charges, strict=True)]
        by_kind = dict(sorted(zip(kinds, charges, strict=True)))
        lines += ["loop_", "_atom_type_symbol", "_atom_type_oxidation_number"]
        lines += [f"{kind} {charge:g}" for kind, charge in by_kind.items()]
    lines.append(_ATOMS)
    for index, (site, element, kind) in enumerate(zip(structure, elements, kinds, strict=True)):
        a, b, c = (f"{coordinate:.10f}" for coordinate in site.frac_coords)
        lines.append(f"{element}{index} {kind} {a} {b} {c} 1")
    return "\n".join(lines) + "\n"


def _ion(element: str, charge: float) -> str:
    """Return how CIF writes an ion: Fe2+, O2-, Fe2.5+."""
    return f"{element}{abs(charge):g}{'-' if charge < 0 else '+'}"


def _text(value: object) -> str:
    """Return a value as CIF takes it, whatever characters it holds."""
    if value is None:
        return "?"
    text = str(value)
    for quote in "'\"":
        if quote not in text and text.isprintable():
            return f"{quote}{text}{quote}"
    # A semicolon that begins a line would end the text.
    lines = [f" {line}" if line.startswith(";") else line for line in _joined(text.splitlines())]
    return "\n;" + "\n".join(lines) + "\n;"


def _joined(lines: list[str]) -> list[str]:
    """Return lines of which only the first begins as a block does: readers look for one within a text too."""
    joined: list[str] = []
    for line in lines:
        if not joined or not line.lstrip().lower().startswith("data_"):
            joined.append(line)
            continue
        while len(joined) > 1 and not joined[-1].strip():
            joined.pop()
        joined[-1] += f" {line.lstrip()}"
    return joined
