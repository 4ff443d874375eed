"""Materials with real structures and hops, for a database to export from."""

from __future__ import annotations

import json

import numpy as np
from pymatgen.core import Lattice, Structure


def rock_salt(ion="Li", metal="Co", a=4.1):
    """A small layered-like cell with two ions, not orthogonal, in an order of its own."""
    lattice = Lattice.from_parameters(a, a * 1.1, a * 1.3, 80.0, 95.0, 105.0)
    frac = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.02, 0.5, 0.01]]
    return Structure(lattice, ["O", ion, metal, "O", ion, metal], np.add(frac, 0.013))


def candidate_of(make, who, structure, **changes):
    fields = {
        "structure_json": json.dumps(structure.as_dict(verbosity=0)),
        "n_sites": len(structure),
        "formula": structure.composition.reduced_formula,
        "oxidation_states": [{"O": -2.0, "Li": 1.0, "Na": 1.0}.get(s.specie.symbol, 3.0) for s in structure],
    }
    return make.candidate(who, **(fields | changes))
