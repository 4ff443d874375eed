"""One hop of a data set as it was read, and as a labelled hop with its surroundings cut out."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from pymatgen.core import Composition, Structure

from tasks.hops.path import HopEnvironment, hop_environment
from tasks.hops.sites import assign_charges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

ISOLATED = 1.0
"""Share of working ions left in the host of an isolated vacancy's hop: all of infinitely many."""


@dataclass(frozen=True)
class Crystal:
    """A structure as plain arrays: hundreds of thousands of them fit into memory, as pymatgen's do not.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.
    symbols : tuple of str
        The element of each site.
    frac : ndarray of shape (N, 3)
        Fractional coordinates, not wrapped.
    """

    lattice: NDArray[np.float64]
    symbols: tuple[str, ...]
    frac: NDArray[np.float64]

    @classmethod
    def of(cls, structure: Structure) -> Crystal:
        """Return an ordered structure as plain arrays."""
        return cls(
            np.array(structure.lattice.matrix, dtype=np.float64),
            tuple(sys.intern(site.specie.symbol) for site in structure),
            np.array(structure.frac_coords, dtype=np.float64),
        )

    def structure(self) -> Structure:
        """Return it as pymatgen has it."""
        return Structure(self.lattice, list(self.symbols), self.frac, to_unit_cell=False)


@dataclass(frozen=True)
class HopRecord:
    """One hop of a data set, as read.

    Parameters
    ----------
    hop_id : str
        Unique within the data set.
    name : str
        What its authors call it.
    split : {"train", "val", "test"}
        The part of the data set that it belongs to.
    crystal : Crystal
        The crystal with both ends filled.
    i, j : int
        Indices of the end sites.
    image : tuple of int
        Cell in which site j lies, in lattice vectors.
    barrier_ev : float
        Its label.
    method : str
        How the label was found.
    host_ion_fraction : float
        Share of the working ions that the host keeps, as `HopEnvironment` has it.
    note : str
        What a reader of the data set had to assume; empty where nothing was.
    """

    hop_id: str
    name: str
    split: Split
    crystal: Crystal
    i: int
    j: int
    image: tuple[int, int, int]
    barrier_ev: float
    method: str
    host_ion_fraction: float = ISOLATED
    note: str = ""

    @property
    def ion(self) -> str:
        """Element symbol of the moving ion."""
        return self.crystal.symbols[self.i]

    @property
    def structure(self) -> Structure:
        """The crystal as pymatgen has it, made anew each time."""
        return self.crystal.structure()

    @property
    def host_formula(self) -> str:
        """Reduced formula without the moving ion: the group for folds with whole hosts held out."""
        host = Counter(symbol for symbol in self.crystal.symbols if symbol != self.ion)
        formula: str = Composition(host).reduced_formula if host else self.ion
        return formula

    def cut(self) -> Callable[..., HopEnvironment]:
        """Return what cuts the surroundings of the hop out of its structure."""
        structure = self.structure
        return partial(
            hop_environment,
            structure,
            assign_charges(structure),
            self.i,
            self.j,
            self.image,
            working_ion=self.ion,
            host_working_ion_fraction=self.host_ion_fraction,
        )


@dataclass(frozen=True)
class LabelledHop:
    """One hop whose barrier is known.

    Parameters
    ----------
    hop_id : str
        Unique within the data set; `{split}-{jid}` in devi2025, where `jid` alone repeats.
    name : str
        The entry's name; several hops of one system carry a suffix.
    formula : str
        Reduced formula with both ends filled.
    ion : str
        Element symbol of the moving ion.
    host_formula : str
        Reduced formula without the moving ion: the group for folds with whole hosts held out.
    split : {"train", "val", "test"}
        The authors' split.
    barrier_ev : float
        Its label.
    environment : HopEnvironment
        The path and its surroundings.
    method : str
        How the label was found.
    """

    hop_id: str
    name: str
    formula: str
    ion: str
    host_formula: str
    split: Split
    barrier_ev: float
    environment: HopEnvironment
    method: str = ""


def labelled(record: HopRecord, environment: HopEnvironment) -> LabelledHop:
    """Put a record and its surroundings together."""
    return LabelledHop(
        hop_id=record.hop_id,
        name=record.name,
        formula=Composition(Counter(record.crystal.symbols)).reduced_formula,
        ion=record.ion,
        host_formula=record.host_formula,
        split=record.split,
        barrier_ev=record.barrier_ev,
        environment=environment,
        method=record.method,
    )


def relax(records: Sequence[HopRecord]) -> list[LabelledHop]:
    """Return records as labelled hops with relaxed paths, in the order given.

    `HopEnvironment.relaxed` says how each relaxation went.
    """
    # Here and not at the top of the file: torch takes seconds to import, and straight paths do without.
    from tasks.hops.relax import relaxed_environments

    environments = relaxed_environments([record.cut() for record in records])
    return [labelled(record, environment) for record, environment in zip(records, environments, strict=True)]
