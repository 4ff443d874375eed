"""One hop of a data set as it was read, and as a labelled hop with its surroundings cut out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from pymatgen.core import Composition

from tasks.hops.path import HopEnvironment, hop_environment
from tasks.hops.sites import assign_charges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

ISOLATED = 1.0
"""Share of working ions left in the host of an isolated vacancy's hop: all of infinitely many."""


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
    structure : Structure
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
    structure: Structure
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
        symbol: str = self.structure[self.i].specie.symbol
        return symbol

    @property
    def host_formula(self) -> str:
        """Reduced formula without the moving ion: the group for folds with whole hosts held out."""
        amounts = self.structure.composition.get_el_amt_dict()
        return host_formula(amounts, self.ion)

    def cut(self) -> Callable[..., HopEnvironment]:
        """Return what cuts the surroundings of the hop out of its structure."""
        return partial(
            hop_environment,
            self.structure,
            assign_charges(self.structure),
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


def host_formula(amounts: dict[str, float], ion: str) -> str:
    """Return the reduced formula of what stays without the ion; the ion itself where nothing does."""
    host = {element: amount for element, amount in amounts.items() if element != ion}
    formula: str = Composition(host).reduced_formula if host else ion
    return formula


def labelled(record: HopRecord, environment: HopEnvironment) -> LabelledHop:
    """Put a record and its surroundings together."""
    return LabelledHop(
        hop_id=record.hop_id,
        name=record.name,
        formula=record.structure.composition.reduced_formula,
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
