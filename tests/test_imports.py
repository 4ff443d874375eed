"""Importing has no effects, and commands that only read wait for no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "tasks", "models", "storage")
HEAVY = {
    "torch",
    "pytorch_lightning",
    "prefect",
    "pymatgen",
    "sklearn",
    "matplotlib",
    "ase",
    "spglib",
    "ripser",
}

# Third parties first, since what they do when imported is theirs; then ours, under observation. Importing
# Prefect's flow class is not all that Prefect does: it sets up its logging when it sees the first flow.
OBSERVE = """
import importlib, json, logging, os, pkgutil, random, signal, socket, sys, threading, warnings

names = json.loads(sys.argv[1])
ours = {name.partition(".")[0] for name in names}

class Reached(RuntimeError):
    pass

def refuse(*args, **kwargs):
    raise Reached(f"a socket was opened with {args}")

for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
import prefect
prefect.flow(name="somebody's")(lambda: None)

import numpy as np
import torch

def state():
    loggers = logging.root.manager.loggerDict
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "root handlers": [repr(handler) for handler in logging.root.handlers],
        "our loggers": sorted(
            name for name, found in loggers.items()
            if name.partition(".")[0] in ours and getattr(found, "handlers", [])
        ),
        "warning filters": [repr(entry) for entry in warnings.filters],
        "torch seed": torch.get_rng_state().tolist()[:64],
        "numpy seed": repr(np.random.get_state()[1][:8]),
        "random seed": hash(random.getstate()),
        "threads of torch": torch.get_num_threads(),
        "backend": __import__("matplotlib").rcParams._get("backend") is not None
        and repr(__import__("matplotlib").rcParams._get("backend")),
        "signals": {number: repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGALRM)},
        "start method": __import__("multiprocessing").get_start_method(allow_none=True),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "excepthook": repr(sys.excepthook),
    }

before = state()
socket.socket.connect = refuse
socket.socket.bind = refuse
for name in names:
    importlib.import_module(name)
after = state()
print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
"""

THIRD = [
    "prefect", "prefect.artifacts", "prefect.futures", "prefect.task_runners", "torch", "pytorch_lightning",
    "pymatgen.core", "pymatgen.io.cif", "pymatgen.analysis.structure_matcher",
    "pymatgen.analysis.bond_valence", "sklearn.ensemble", "scipy.stats", "scipy.spatial", "duckdb", "pyarrow",
    "ase", "spglib", "ripser", "typer", "rich", "matplotlib", "matplotlib.figure", "pydantic_settings",
    "safetensors.torch", "filelock", "requests",
]  # fmt: skip


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def run(tmp_path: Path, code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1",
             "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path / "mpl")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_is_looked_at():
    assert {"flows.cli.main", "tasks.stages", "models.specs", "storage.recorder"} <= set(modules())


def test_importing_everything_changes_nothing(tmp_path):
    changed = json.loads(run(tmp_path, OBSERVE, json.dumps(modules()), json.dumps(THIRD)))
    assert changed == {}


def test_importing_everything_makes_no_file(tmp_path):
    """Third parties keep caches of their own, so they are imported before the folders are looked at."""
    code = (
        "import importlib, json, pathlib, sys\n"
        "look = lambda: sorted(str(path) for path in pathlib.Path.cwd().rglob('*'))\n"
        "for name in json.loads(sys.argv[2]): importlib.import_module(name)\n"
        "before = look()\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps([path for path in look() if path not in before]))\n"
    )
    assert json.loads(run(tmp_path, code, json.dumps(modules()), json.dumps(THIRD))) == []


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import models.specs", set()),
        ("import models.locate", set()),
        ("import storage.queries, storage.recorder, storage.records", set()),
        ("import flows.cli.main", set()),
        ("import flows.parameters, flows.settings", set()),
        ("import tasks.workers", {"pymatgen", "spglib", "ripser", "sklearn", "matplotlib", "ase"}),
    ],
)
def test_what_stays_unimported(tmp_path, statement, allowed):
    code = f"import sys, json; {statement}; print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    assert set(json.loads(run(tmp_path, code))) <= allowed


def test_the_package_that_holds_results_is_light(tmp_path):
    code = (
        "import sys, json, storage\n"
        "heavy = {'duckdb', 'pyarrow', 'pandas', 'polars', 'pymatgen', 'ase', 'numpy', 'pydantic'}\n"
        "before = sorted(heavy & set(sys.modules))\n"
        "assert callable(storage.open)\n"
        "import storage.exports.results\n"
        "print(json.dumps([before, sorted({'pandas', 'polars', 'pymatgen', 'ase'} & set(sys.modules))]))\n"
    )
    assert json.loads(run(tmp_path, code)) == [[], []]


def test_ranking_waits_for_no_heavy_library(tmp_path):
    code = (
        "import sys, json\n"
        "from storage.recorder import Recorder\n"
        "Recorder('lihop.duckdb').publish()\n"
        "from flows.cli.main import main\n"
        "sys.argv = ['lihop', 'rank', '--json']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('|' + json.dumps(sorted({HEAVY!r} & set(sys.modules))))\n"
    )
    answer, imported = run(tmp_path, code).split("|")
    assert json.loads(answer) == []
    assert json.loads(imported) == []
