"""Why a stored hop has the barrier that was predicted: its descriptors, asked of the model that did."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import CheckpointError
from models.locate import MANIFEST, find_checkpoint, read_digest
from storage import queries
from tasks.descriptors.families import families
from tasks.descriptors.keys import registry
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from models.arrays import Inputs

Record = dict[str, Any]

RUNS = "SELECT model_digest, settings_json FROM runs ORDER BY started_at DESC"
SAME_EV = 0.005
"""Barriers nearer than this are called the same: where the saddle lies is not stored to the last digit."""


def why_barrier(database: str | Path, row: Record, hop: Record, number: int, *, model: str) -> Record:
    """Say what moves the predicted barrier of a stored hop.

    Its descriptors are taken again from the stored crystal and path, and asked of the checkpoint that made
    the stored prediction where that is at hand: the named one, a shipped one, or one of a recorded run.

    Parameters
    ----------
    database : str or Path
        The published database.
    row : dict
        The material's row of the view `rankings`.
    hop : dict
        A row of `storage.queries.network_of`.
    number : int
        The hop's number in its network.
    model : str
        Name of a shipped checkpoint, or a folder: the first place to look, and what is asked instead where
        the model of the prediction is not at hand.

    Returns
    -------
    dict
        The material and the hop (``material_id``, ``formula``, ``working_ion``, ``number``, ``edge_id``,
        ``distance_ang``, ``rate_limiting``), ``stored`` (the recorded prediction), ``model`` (``name``,
        ``digest``, ``same``: whether it made that prediction), ``agrees`` (whether it says the same again),
        and what `models.occlusion.explain` returns, keys with their ``unit`` and ``meaning``.

    Raises
    ------
    FigureError
        When the hop has no prediction, or cannot be described.
    CheckpointError
        When there is no model to ask.
    """
    from models.checkpoints import load
    from models.occlusion import explain
    from tasks.descriptors.assemble import INPUT_SPEC

    stored = {
        name: hop.get(name) for name in ("barrier_ev", "lower_ev", "upper_ev", "in_domain", "model_digest")
    }
    if stored["barrier_ev"] is None or stored["model_digest"] is None:
        raise FigureError(
            f"{hop['edge_id']} has no predicted barrier, so there is nothing to explain; `lihop show "
            f"{row['material_id']} --hop {number}` says what is known of it"
        )
    folder = _find_model(database, str(stored["model_digest"]), model)
    checkpoint = load(folder, expected=INPUT_SPEC)
    found = explain(checkpoint, _descriptors(database, row, hop), families())
    same = checkpoint.digest == stored["model_digest"]
    said = {name: {d.key: (d.unit, d.meaning) for d in group} for name, group in registry().items()}
    for entry in found["rows"]:
        if entry["what"] == "key":
            entry["unit"], entry["meaning"] = said[entry["groups"][0]][entry["name"]]
    return {
        **{name: row[name] for name in ("material_id", "formula", "working_ion")},
        "number": number,
        **{name: hop[name] for name in ("edge_id", "distance_ang")},
        "rate_limiting": hop["edge_id"] == limiting_hop(database, row),
        "stored": stored,
        "model": {"name": checkpoint.name, "digest": checkpoint.digest, "same": same},
        "agrees": same and abs(found["barrier_ev"] - stored["barrier_ev"]) <= SAME_EV,
        **found,
    }


def limiting_hop(database: str | Path, row: Record) -> str | None:
    """Return the name of the rate-limiting hop of a material at its percolation dimension, if it has one."""
    dim = row["percolation_dim"]
    if not dim:
        return None
    known = queries.percolation_of(database, row["structure_hash"], row["working_ion"])
    return known[0][f"limiting_edge_{dim}d"] if known else None


def _descriptors(database: str | Path, row: Record, hop: Record) -> Inputs:
    """Describe a stored hop again."""
    from pymatgen.core import Structure

    from tasks.candidates.cleaning_state import CHARGED
    from tasks.descriptors.assemble import describe_batch
    from tasks.descriptors.errors import DescriptorError
    from tasks.hops.sites import Charges
    from tasks.reports.hop_facts import environment

    structure_json = queries.structure_of(database, row["structure_hash"])
    if structure_json is None:
        raise FigureError(f"{row['material_id']} has no stored structure, so its hops cannot be described")
    structure = Structure.from_dict(json.loads(structure_json))
    charges = queries.charges_of(database, row["structure_hash"])
    values = (None,) * len(structure) if charges is None else tuple(charges)
    try:
        stripped = row.get("state") == CHARGED
        env = environment(structure, Charges(values=values, method=None), hop, stripped=stripped)
        described = describe_batch([env])
    except DescriptorError as error:
        raise FigureError(f"{hop['edge_id']} cannot be described: {error}") from error
    return {str(name): array for name, array in described.items()}


def _find_model(database: str | Path, digest: str, model: str) -> Path:
    """Return the folder of the checkpoint with a digest, or of the named one where there is none."""
    shipped = Path(str(importlib.resources.files("models"))) / "pretrained"
    places = [model, *(str(entry.parent) for entry in sorted(shipped.glob(f"*/{MANIFEST}")))]
    places += [
        str(json.loads(run["settings_json"]).get("model", model))
        for run in queries.sql(database, RUNS).records()
        if run["model_digest"] == digest
    ]
    for place in dict.fromkeys(places):
        try:
            folder = find_checkpoint(place)
            if read_digest(folder) == digest:
                return folder
        except CheckpointError:
            continue  # it was moved or is no longer whole; another place may hold it
    return find_checkpoint(model)
