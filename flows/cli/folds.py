"""The folds of devi2025 that hold out whole hosts, written to their file: `python -m flows.cli.folds`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from models.arrays import host_folds
from tasks.datasets import devi2025
from tasks.datasets.devi2025_folds import FOLDS_FILE, RULE

N_FOLDS = 10
SEED = 0


def make_folds(data_dir: Path, n_folds: int = N_FOLDS, seed: int = SEED) -> dict[str, Any]:
    """Return the contents of the fold file.

    Parameters
    ----------
    data_dir : Path
        Folder with the files of the data set.
    n_folds, seed : int
        How many folds, and what shuffles the hosts.
    """
    records = (
        devi2025.record_of(entry, split)
        for split in devi2025.FILES
        for entry in devi2025.read_entries(data_dir, split)
    )
    hosts = {f"{devi2025.NAME}:{record.hop_id}": record.host_formula for record in records}
    ids = sorted(hosts)
    folds = host_folds([hosts[identifier] for identifier in ids], n_folds, seed).tolist()
    return {
        "dataset": devi2025.NAME,
        "rule": RULE,
        "made_by": "python -m flows.cli.folds",
        "seed": seed,
        "n_folds": n_folds,
        "n_hops": len(ids),
        "n_hosts": len(set(hosts.values())),
        "folds": dict(zip(ids, folds, strict=True)),
    }


def write(
    data_dir: Annotated[
        str | None, typer.Option(help="Folder that holds the data set's folder [LIHOP_DATA_DIR, data].")
    ] = None,
    output: Annotated[str, typer.Option(help="File to write.")] = str(FOLDS_FILE),
) -> None:
    """Write the fold file; the same data and seed give the same bytes."""
    folder = devi2025.find_data_dir(None if data_dir is None else Path(data_dir))
    made = make_folds(folder)
    Path(output).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    sizes = Counter(made["folds"].values())
    print(f"{made['n_hops']} hops of {made['n_hosts']} hosts; hops a fold: {sorted(sizes.values())}")


if __name__ == "__main__":
    typer.run(write)
