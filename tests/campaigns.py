"""What tests of whole screenings share: a tiny checkpoint, crystals as files, steps that remember."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from flows.campaign import Summary, run_campaign
from flows.parameters import ScreenParameters
from models.arrays import LabelledArrays
from models.recipe import train_checkpoint
from models.settings import TrainSettings
from models.specs import GROUP_NAMES, GroupName
from storage import queries
from storage.records import ROW_TYPES
from tasks.descriptors.assemble import INPUT_SPEC

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("candidates", "hops", "predictions", "percolation", "failures", "stage_results", "models")
ROUNDING = 1e-4
# Which shard a row came from, and in which order structures did, depends on the batches, which are free; and
# every run has a time of its own.
FREE = {"shard", "first_seen_at", "last_seen_at", "changed_at", "sync_id", "structure_no"}


def labelled_noise(n: int, seed: int = 0, prefix: str = "hop") -> LabelledArrays:
    """Return hops of the real shapes that are random numbers."""
    rng = np.random.default_rng(seed)
    return LabelledArrays(
        inputs={
            group.name: rng.normal(2.0, 1.0, size=(n, *group.shape)).astype(np.float32)
            for group in INPUT_SPEC.groups
        },
        barrier_ev=np.exp(rng.normal(-0.8, 0.3, size=n)),
        ids=tuple(f"{prefix}-{k}" for k in range(n)),
        hosts=tuple(f"host-{k % 6}" for k in range(n)),
        ions=("Li",) * n,
        spec=INPUT_SPEC,
    )


def write_checkpoint(folder: Path, seed: int = 0, groups: tuple[GroupName, ...] = GROUP_NAMES) -> Path:
    """Train on random numbers of the real shapes for an epoch: its barriers mean nothing."""
    settings = TrainSettings(
        groups=groups, members=2, seed=seed, epochs=1, batch_size=8, channels=4, blocks=1, hidden=4, fused=4,
        calibration_folds=2, calibration_members=1, neighbours=2,
    )  # fmt: skip
    rows = labelled_noise(24, seed)
    train_checkpoint(rows, settings, name=f"tiny-{seed}", trained_on="random numbers").save(folder)
    return folder


def rock_salt(cation: str, anion: str, a_ang: float) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_ang), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def antifluorite(cation: str, anion: str, a_ang: float) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_ang), [cation, anion], [[0.25, 0.25, 0.25], [0, 0, 0]]
    )


def layered() -> Structure:
    """LiCoO2, the room-temperature lattice with a rounded oxygen position."""
    return Structure.from_spacegroup(
        "R-3m", Lattice.hexagonal(2.816, 14.05), ["Li", "Co", "O"], [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]]
    )


def walled() -> Structure:
    """Every straight path up to 6 Å between two Li runs through an atom of the host."""
    faces = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    edges = [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(4.1), ["Li", *["O"] * 3, *["Ti"] * 3], [[0, 0, 0], *edges, *faces])


def lonely() -> Structure:
    """No two Li lie within 6 Å."""
    return Structure(Lattice.cubic(7.0), ["Li", "Br"], [[0, 0, 0], [0.4, 0.4, 0.4]])


GOOD = {
    "lif.cif": rock_salt("Li", "F", 4.03),
    "licl.cif": rock_salt("Li", "Cl", 5.13),
    "li2o.cif": antifluorite("Li", "O", 4.62),
    "licoo2.cif": layered(),
}


def write_cif(structure: Structure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(CifWriter(structure)), encoding="utf-8")
    return path


def write_good(folder: Path, names: tuple[str, ...] = tuple(GOOD)) -> Path:
    for name in names:
        write_cif(GOOD[name], folder / name)
    return folder


def write_bad(folder: Path) -> dict[str, str]:
    """Write one file a way to be bad; return the reason expected of each."""
    write_cif(rock_salt("Na", "Cl", 5.64), folder / "no-ion.cif")
    half = Structure(Lattice.cubic(4.1), [{"Li": 0.5, "Ni": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    write_cif(half, folder / "partly.cif")
    near = Structure(Lattice.cubic(4.1), ["Li", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.58]])
    write_cif(near, folder / "overlap.cif")
    write_cif(Structure(Lattice.cubic(3.4), ["Li"], [[0, 0, 0]]), folder / "one-site.cif")
    write_cif(Structure(Lattice.cubic(3.2), ["Li", "Al"], [[0, 0, 0], [0.5] * 3]), folder / "alloy.cif")
    write_cif(lonely(), folder / "lonely.cif")
    write_cif(walled(), folder / "walled.cif")
    (folder / "broken.cif").write_text("data_x\n_cell_length_a 4.0\nloop_\n_atom", encoding="utf-8")
    (folder / "empty.cif").write_text("", encoding="utf-8")
    (folder / "binary.cif").write_bytes(bytes(range(256)) * 8)
    write_cif(GOOD["lif.cif"], folder / "enormous.cif")
    with (folder / "enormous.cif").open("a", encoding="utf-8") as file:
        file.write("# padding\n" * 30_000)
    # The same crystal: another origin, twice the cell, other axes.
    other = GOOD["lif.cif"].copy()
    other.translate_sites(range(len(other)), [0.13, 0.21, 0.37])
    other.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    write_cif(other, folder / "zz-again.cif")
    return {
        "no-ion.cif": "no_working_ion",
        "partly.cif": "partial_occupancy",
        "overlap.cif": "overlapping_atoms",
        "one-site.cif": "single_site",
        "alloy.cif": "no_anions",
        "lonely.cif": "no_hops",
        "walled.cif": "no_hops",
        "broken.cif": "unreadable_file",
        "empty.cif": "unreadable_file",
        "binary.cif": "unreadable_file",
        "enormous.cif": "file_too_large",
        "zz-again.cif": "duplicate",
    }


class RecordingSteps:
    """Steps in this very process, which remember what they were asked to run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def over_pool(self, stage, call, payloads):
        for payload in payloads:
            self.ran.append(stage)
            try:
                found = call(payload)
            except Exception as error:  # noqa: BLE001 - as a pool does, an error is handed over
                found = error
            yield payload, found

    def here(self, stage, call, payload):
        self.ran.append(stage)
        return call(payload)


class Bench:
    """A folder, a database and a checkpoint; runs screenings in this process."""

    def __init__(self, root: Path, checkpoint: Path) -> None:
        self.folder = root / "structures"
        self.database = root / "db" / "lihop.duckdb"
        self.checkpoint = checkpoint
        self.folder.mkdir()
        self.steps = RecordingSteps()

    def parameters(self, **changes: Any) -> ScreenParameters:
        given = {
            "source": "files",
            "path": str(self.folder),
            "database": str(self.database),
            "model": str(self.checkpoint),
            "workers": 1,
            "time_limit_s": None,
        }
        return ScreenParameters(**(given | changes))

    def screen(self, **changes: Any) -> Summary:
        self.steps = RecordingSteps()
        return run_campaign(self.parameters(**changes), self.steps)

    def rankings(self) -> dict[str, dict[str, Any]]:
        return {row["material_id"]: row for row in queries.rankings(self.database)}

    def reasons(self, run: str = "latest") -> dict[str, str]:
        return {row["material_id"]: row["reason"] for row in queries.failures(self.database, run=run)}

    def tables(self) -> dict[str, list[Any]]:
        return tables(self.database)


def tables(database: Path, names: tuple[str, ...] = TABLES) -> dict[str, list[Any]]:
    """Every row of the tables that hold results, in a fixed order."""
    keys = {name: ", ".join(ROW_TYPES[name].key) for name in names}
    return {
        name: queries.sql(database, f"FROM {name} ORDER BY {key}").records() for name, key in keys.items()
    }


def assert_same(found: object, expected: object) -> None:
    """Compare tables: numbers up to rounding, since a network's last digits depend on the batch it sees."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            if key not in FREE:
                assert_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert isinstance(found, float)
        assert math.isclose(found, expected, rel_tol=ROUNDING, abs_tol=ROUNDING), (found, expected)
    else:
        assert found == expected
