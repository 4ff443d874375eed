"""The state of charge: what a charged candidate is beside the discharged one that it is made from.

A charged host is topotactic: lattice, host atoms and sites are those of the discharged structure, and a
single working ion is left on those sites. Its row keeps the sites, so the hops are the same; what stands
round a hop has no other working ion.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

from pymatgen.core import Element, Structure

from tasks.hops.sites import Charges, assign_charges, working_ion_sites

if TYPE_CHECKING:
    from storage.records import Candidate

State = Literal["discharged", "charged"]
DISCHARGED: State = "discharged"
CHARGED: State = "charged"


def states_of(asked: Literal["discharged", "charged", "both"]) -> tuple[State, ...]:
    """Return the states that are screened, the discharged one first."""
    return (DISCHARGED, CHARGED) if asked == "both" else (asked,)


def charged_hash(structure_hash: str) -> str:
    """Return the hash of a charged host from that of the discharged structure.

    Hops, barriers and refinements are told apart by the hash of their structure, so that those of one state
    are never taken for those of the other.
    """
    return hashlib.sha256(json.dumps([structure_hash, CHARGED]).encode()).hexdigest()[:32]


def charged_charges(structure: Structure, working_ion: str, discharged: Charges) -> Charges:
    """Return the oxidation states of a charged host, site by site, those of the working ion's sites included.

    They are assigned to the host without any working ion, which is what a crystal with a single one comes
    to: its metals are oxidised. A host that no usual states balance, as that of a lithium salt, keeps those
    of the discharged structure.

    Parameters
    ----------
    structure : Structure
        The discharged structure.
    working_ion : str
        Element symbol of the ion that moves.
    discharged : Charges
        Oxidation states of that structure.

    Returns
    -------
    Charges
        One value a site, and the method.
    """
    ions = set(working_ion_sites(structure, working_ion))
    left = [k for k in range(len(structure)) if k not in ions]
    host = Structure(
        structure.lattice, [structure[k].specie for k in left], [structure[k].frac_coords for k in left]
    )
    found = assign_charges(host)
    if found.method is None:
        return discharged
    of_ion = float(Element(working_ion).common_oxidation_states[0])
    of_host = dict(zip(left, found.values, strict=True))
    return Charges(tuple(of_host.get(k, of_ion) for k in range(len(structure))), found.method)


def charged(candidate: Candidate, charges: Charges) -> Candidate:
    """Return the charged candidate that belongs to a discharged one.

    Its energy above hull is that of the charged material, which is unknown unless the source tells it.

    Parameters
    ----------
    candidate : Candidate
        The discharged one.
    charges : Charges
        What `charged_charges` returns for it.
    """
    known = [charge for charge in charges.values if charge is not None]
    digest = charged_hash(candidate.structure_hash)
    return candidate.model_copy(
        update={
            "state": CHARGED,
            "structure_hash": digest,
            "material_key": digest,
            "oxidation_method": charges.method,
            "oxidation_states": known if len(known) == candidate.n_sites else None,
            "e_above_hull_ev": candidate.stability_charge_ev,
        }
    )
