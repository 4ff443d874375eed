"""What every registered descriptor says of itself, and the works that several groups rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.specs import GroupName

SHANNON = "10.1107/S0567739476001551"
HOPPE = "10.1524/zkri.1979.150.14.23"
BOND_VALENCE = "10.1021/ja00009a002"
BOND_VALENCE_VECTOR = "10.1107/S0108768106026553"
BVSE = "10.1039/b901753d"

Entry: TypeAlias = "tuple[str, str, str, str | None]"
"""Key, unit, meaning, DOI."""


@dataclass(frozen=True)
class Descriptor:
    """One registered descriptor.

    Parameters
    ----------
    key : str
        Name, unique within its group.
    group : str
        Group whose array holds it.
    shape : tuple of int
        Shape of one hop's value: () for a number, (21,) for a channel of an image.
    unit : str
        Unit; "1" for a pure number.
    meaning : str
        What it is.
    reference : str or None
        DOI of the definition or of the figures that it rests on.
    """

    key: str
    group: GroupName
    shape: tuple[int, ...]
    unit: str
    meaning: str
    reference: str | None = None


def registered(
    group: GroupName, entries: Iterable[Entry], shape: tuple[int, ...] = ()
) -> tuple[Descriptor, ...]:
    """Return the entries as descriptors of a group, all of one shape."""
    return tuple(
        Descriptor(key, group, shape, unit, meaning, reference) for key, unit, meaning, reference in entries
    )
