"""Bench `sync`: documents a second through the source `mp`, beside the plain client's `search`.

Both ask the protocol server of the tests, started in a process of its own; the real database is not asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.bench.measure import OURS, BenchError, Case, Unit, alternate, summarise, timed
from flows.bench.structures import WORKING_ION
from flows.parameters import SyncParameters
from tasks.candidates.cleaning import CleaningSettings, clean
from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_documents import SUMMARY_FIELDS
from tasks.candidates.source import RawMaterial, RejectedError
from tasks.featurizing import featurize
from tasks.stage_keys import HopSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.bench.measure import BenchResult, BenchSettings
    from storage.records import Candidate
    from tasks.candidates.entries import Entry

PEER = "MPRester.search"
SERVER = "tests.servers.materials_project"
MEASURED = "flows.bench.peak"
DOCUMENTS = 2000
FEWER = 10
"""How many times fewer documents the sync has whose memory the whole one's is compared with."""
FEATURIZED = 8
ENVIRONMENT = ("LIHOP_MP_ENDPOINT", "LIHOP_MP_API_KEY", "NO_PROXY")
ASKED = MaterialsProjectQuery(kind="materials", elements=("Li",), e_above_hull_max_ev=None, max_sites=None)
"""All materials with lithium, so that nothing is fetched that only one side keeps."""


def bench(settings: BenchSettings) -> BenchResult:
    """Time a whole pull, slim index and whole documents, both ways.

    Raises
    ------
    BenchError
        When the tests, which hold the server, are not here.
    """
    documents = DOCUMENTS if settings.limit is None else settings.limit
    with _served(documents):
        found = alternate({OURS: ours, PEER: peer}, repeats=settings.repeats, slow_s=None)
        synced, peak_mb = _synced()
    with _served(max(documents // FEWER, 1)):
        fewer, fewer_mb = _synced()
    seconds = {side: timing.seconds for side, timing in found.items()}
    entries: list[Entry] = found[OURS].result
    candidates = _cleaned(entries)
    rate = len(candidates) / _featurizing_s(candidates)
    fetching_s = seconds[OURS]
    return summarise(
        "sync",
        [Case(f"{len(entries)} documents", float(len(entries)), seconds, len(entries) == found[PEER].result)],
        Unit("documents/s"),
        details={
            "documents": len(entries),
            "featurized materials/s on one core": rate,
            "cores that featurize as fast as one pull fetches": fetching_s
            and len(entries) / fetching_s / rate,
            "synced documents": synced,
            "peak memory of that sync (MB)": peak_mb,
            f"peak memory of a sync of {fewer} (MB)": fewer_mb,
        },
        notes=[
            "the protocol server makes each document when it is asked for one, which both sides wait for; a "
            "ratio of 0.5 means that the plain search takes half as long",
            "ours reads the slim index first, then fetches by ids in chunks, checks each document alone and "
            "counts; the plain search asks for the same fields in pages of 1000 and checks nothing",
            f"featurized: {len(candidates)} of the fetched materials, hops and descriptors",
            "memory: a sync in a process of its own, into a fresh database",
        ],
    )


def ours() -> list[Entry]:
    """Return all entries through the source: index, then whole documents."""
    source = MaterialsProjectSource(ASKED)
    ids = [entry.entry_id for page in source.index() for entry in page.entries]
    return list(source.fetch(ids).entries)


def peer() -> int:
    """Return how many documents the plain client's search gives."""
    from mp_api.client import MPRester

    key, endpoint = os.environ["LIHOP_MP_API_KEY"], os.environ["LIHOP_MP_ENDPOINT"]
    with MPRester(key, endpoint=endpoint, use_document_model=False, mute_progress_bars=True) as client:
        found: Sequence[Any] = client.materials.summary.search(
            **ASKED.summary_filters(), fields=list(SUMMARY_FIELDS)
        )
    return len(found)


def _synced() -> tuple[int, float]:
    """Sync into a fresh database, in a process of its own; return how many entries, and its memory in MB.

    Raises
    ------
    BenchError
        When it fails.
    """
    with tempfile.TemporaryDirectory(prefix="lihop-bench-") as folder:
        asked = SyncParameters(source="mp", database=str(Path(folder) / "lihop.duckdb"), mp=ASKED)
        command = [sys.executable, "-m", MEASURED, asked.model_dump_json()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode != 0:
        raise BenchError(f"the sync failed: {done.stderr}")
    told = json.loads(done.stdout)
    return int(told["n_total"]), float(told["peak_mb"])


def _cleaned(entries: Sequence[Entry]) -> list[Candidate]:
    """Return candidates of some entries, evenly spread over all."""
    source = MaterialsProjectSource(ASKED)
    found: list[Candidate] = []
    for entry in entries[:: max(len(entries) // FEATURIZED, 1)][:FEATURIZED]:
        for material in source.material(entry.content):
            if isinstance(material, RawMaterial):
                try:
                    found.append(clean(material, CleaningSettings(working_ion=WORKING_ION), "bench"))
                except RejectedError:
                    continue
    return found


def _featurizing_s(candidates: list[Candidate]) -> float:
    """Return how long one thread takes for hops and descriptors, after one that is not counted."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        featurize(candidates[:1], HopSettings(), "bench", None)
        return timed(partial(featurize, candidates, HopSettings(), "bench", None))[0]
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _served(documents: int) -> Iterator[None]:
    """Serve so many documents from a process of its own, with the environment pointing at it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "tests" / "servers" / "materials_project.py").is_file():
        raise BenchError(
            "the bench 'sync' needs the protocol server that is among the tests, and they are not installed; "
            "run it from a clone of the repository"
        )
    command = [sys.executable, "-m", SERVER, "--materials", str(documents)]
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own
        try:
            os.environ.update(_printed(child))
            yield
        finally:
            child.terminate()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _printed(child: subprocess.Popen[str]) -> dict[str, str]:
    """Return the settings that a starting server prints."""
    found: dict[str, str] = {}
    for line in child.stdout or ():
        if line.startswith("export "):
            found |= dict(one.split("=", 1) for one in line.split()[1:])
        if found.keys() >= set(ENVIRONMENT):
            return found
    raise BenchError("the protocol server did not start; see what it printed above")
