"""Group `chemistry`: which ion moves, in what composition, and how charges and sizes are spread there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.descriptors.anion_framework import anion_framework
from tasks.descriptors.elements import ElementTable, atomic_number, element_table
from tasks.descriptors.keys import group_keys
from tasks.descriptors.registry.chemistry import ANION_ELEMENTS, WORKING_IONS
from tasks.descriptors.scene import Scene, survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

NEARNESS_ANG = 2.5
"""Width of the Gaussian that weighs an atom by its distance from the path in means over the surroundings."""


def chemistry(env: HopEnvironment, scene: Scene | None = None) -> NDArray[np.float32]:
    """Return the vector of chemistry of one hop.

    Parameters
    ----------
    env : HopEnvironment
        The path and its surroundings.
    scene : Scene, optional
        What `survey` makes of it, when it is at hand.

    Returns
    -------
    ndarray of shape (keys,), float32
        In the registry's order; NaN where unknown (charges) or absent (a host without cations).
    """
    scene = survey(env) if scene is None else scene
    values = {**_ion(scene), **_composition(scene), **_surroundings(scene), **anion_framework(scene)}
    return np.array([values[key] for key in group_keys("chemistry")], dtype=np.float32)


def _ion(scene: Scene) -> dict[str, float]:
    """Return what the working ion is."""
    table = element_table()
    z = scene.ion_number
    charge = scene.ion_charge
    return {
        **{f"ion_is_{symbol}": float(scene.env.working_ion == symbol) for symbol in WORKING_IONS},
        "ion_charge": charge,
        "ion_radius_ang": scene.ion_radius_ang,
        "ion_potential_per_ang": charge / scene.ion_radius_ang,
        "ion_mass_u": float(table.mass_u[z]),
        "ion_electronegativity": float(table.electronegativity[z]),
    }


def _composition(scene: Scene) -> dict[str, float]:
    """Shares and means over the whole cell's composition."""
    env, table = scene.env, element_table()
    symbols = sorted(env.composition)
    numbers = np.array([atomic_number(symbol) for symbol in symbols], dtype=np.int64)
    amounts = np.array([env.composition[symbol] for symbol in symbols])
    total = float(amounts.sum())
    anion = np.array([_is_anion_element(scene, int(z)) for z in numbers])
    working = numbers == scene.ion_number
    cation = ~anion & ~working
    n_anions = float(amounts[anion].sum())
    by_symbol = {
        symbol: amount for symbol, amount, is_anion in zip(symbols, amounts, anion, strict=True) if is_anion
    }
    shares = {
        f"anion_is_{symbol}": float(by_symbol.get(symbol, 0.0)) / n_anions if n_anions > 0.0 else float("nan")
        for symbol in ANION_ELEMENTS
    }
    small = cation & table.polyanion_centre[numbers]
    return {
        **shares,
        "volume_per_atom_ang3": env.volume_ang3 / env.n_sites,
        "volume_per_anion_ang3": env.volume_ang3 / n_anions if n_anions > 0.0 else float("nan"),
        "working_ion_share": float(amounts[working].sum()) / total,
        "working_ions_per_anion": float(amounts[working].sum()) / n_anions
        if n_anions > 0.0
        else float("nan"),
        "host_working_ion_share": env.host_working_ion_fraction,
        "transition_metal_share": float(amounts[cation & table.transition_metal[numbers]].sum()) / total,
        "lanthanide_share": float(amounts[cation & table.lanthanide[numbers]].sum()) / total,
        "small_cation_share": float(amounts[small].sum()) / total,
        "n_elements": float(len(symbols)),
        "electronegativity_mean": _mean(table.electronegativity[numbers], amounts),
        "electronegativity_std": _std(table.electronegativity[numbers], amounts),
        "anion_electronegativity": _mean(table.electronegativity[numbers][anion], amounts[anion]),
        "anion_radius_ang": _mean(table.anion_radius_ang[numbers][anion], amounts[anion]),
        "polarisability_ang3": _mean(table.polarisability_ang3[numbers], amounts),
        "anion_polarisability_ang3": _mean(table.polarisability_ang3[numbers][anion], amounts[anion]),
        "cation_polarisability_ang3": _mean(table.polarisability_ang3[numbers][cation], amounts[cation]),
        **_cation_figures(table, numbers[cation], amounts[cation]),
    }


def _cation_figures(
    table: ElementTable, numbers: NDArray[np.int64], amounts: NDArray[np.float64]
) -> dict[str, float]:
    """Mean, spread and range over the host's cations."""
    found = {}
    for name, figures in (
        ("electronegativity", table.electronegativity[numbers]),
        ("radius_ang", table.cation_radius_ang[numbers]),
    ):
        found[f"cation_{name}_mean"] = _mean(figures, amounts)
        found[f"cation_{name}_std"] = _std(figures, amounts)
        found[f"cation_{name}_min"] = float(figures.min()) if figures.size else float("nan")
        found[f"cation_{name}_max"] = float(figures.max()) if figures.size else float("nan")
    found["cation_row_mean"] = _mean(table.row[numbers], amounts)
    metals = table.transition_metal[numbers]
    found["transition_metal_group"] = _mean(table.group[numbers][metals], amounts[metals])
    found["transition_metal_row"] = _mean(table.row[numbers][metals], amounts[metals])
    return found


def _surroundings(scene: Scene) -> dict[str, float]:
    """Charges near the path: means over atoms weighed by a Gaussian of their distance from it."""
    weights = _nearness(scene)
    charges = scene.env.charges
    host = scene.is_cation & ~scene.is_working
    nearby = float(weights.sum())
    return {
        "cation_charge_mean": _mean(charges[host], weights[host]),
        "cation_charge_std": _std(charges[host], weights[host]),
        "anion_charge_mean": _mean(charges[scene.is_anion], weights[scene.is_anion]),
        "nearby_working_ion_share": float(weights[scene.is_working].sum()) / nearby,
        "nearby_anion_share": float(weights[scene.is_anion].sum()) / nearby,
    }


def _nearness(scene: Scene) -> NDArray[np.float64]:
    """Return the weight of each atom: a Gaussian of its distance from the path that ends at the cutoff."""
    to_path = scene.distances_ang.min(axis=0)
    weights: NDArray[np.float64] = np.exp(-0.5 * (to_path / NEARNESS_ANG) ** 2) * scene.fade.max(axis=0)
    return weights


def _is_anion_element(scene: Scene, number: int) -> bool:
    """Say whether most atoms of an element near the path are anions; by element when none is near."""
    atoms = scene.env.numbers == number
    if not atoms.any():
        return bool(element_table().may_be_anion[number]) and number != scene.ion_number
    weights = _nearness(scene)
    return bool(weights[atoms & scene.is_anion].sum() > 0.5 * weights[atoms].sum())


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the weighted mean; NaN for none."""
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0.0 else float("nan")


def _std(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the weighted standard deviation; NaN for none."""
    total = float(weights.sum())
    if not total > 0.0:
        return float("nan")
    mean = float(values @ weights) / total
    return float(np.sqrt(((values - mean) ** 2) @ weights / total))
