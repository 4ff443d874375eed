"""`lihop bench`: the JSON that scripts rely on, counts beside the peers, and errors that say what to do.

No test here asks how fast anything is: that is what the benches print.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from flows.bench import hops, memory, paths, registry
from flows.bench.generated import HOPS_A_MATERIAL, Block, tables
from flows.bench.measure import (
    OURS,
    BenchError,
    BenchResult,
    BenchSettings,
    Case,
    MissingPeerError,
    PeerResult,
    Unit,
    alternate,
    summarise,
)
from flows.bench.orchestration import overheads_percent
from flows.bench.peak import own_memory_mb
from flows.cli.main import app
from flows.computing import HOPS
from storage.columns import conform, row_type_of
from tests.campaigns import write_checkpoint

KEYS = {"name", "cases", "ours_median", "peers", "unit", "counts_equal"}


def run_cli(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )


def check_shape(found, name):
    assert found.keys() >= KEYS
    assert found["name"] == name
    assert isinstance(found["cases"], int)
    assert found["ours_median"] > 0
    for peer in found["peers"].values():
        assert peer["median"] > 0
        assert peer["ratio"] > 0


def test_hops_as_json():
    done = run_cli("hops", "--json", "--limit", "3", "--repeats", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_shape(found, "hops")
    assert found["cases"] == 3
    assert found["counts_equal"] is True
    assert found["peers"].keys() == {"DistinctPathFinder", "MigrationGraph"}
    assert found["unit"] == "ms/structure"


def test_paths_have_the_barriers_of_the_peer(monkeypatch):
    monkeypatch.setattr(paths, "PEER_HOPS", 2)
    found = registry.run_bench("paths", BenchSettings(limit=3, repeats=1)).as_dict()
    check_shape(found, "paths")
    assert found["cases"] == 2
    assert found["counts_equal"] is True
    assert found["unit"] == "ms/hop"
    assert found["peers"].keys() == {"ASE + ions", "ASE + ions, neighbours given"}
    assert found["details"]["largest_difference_ev"] < 0.02
    assert found["details"]["hops in the batch"] == 3


def test_descriptors_have_the_bars_of_ripser():
    found = registry.run_bench("descriptors", BenchSettings(limit=2, repeats=1)).as_dict()
    check_shape(found, "descriptors")
    assert found["cases"] == 2
    assert found["counts_equal"] is True
    assert found["details"]["of which (ms/hop)"].keys() >= {"local", "profile", "topology", "chemistry"}
    assert found["peers"].keys() == {"ripser", "ions EdgeFeaturizer"}
    assert found["details"]["twice ripser + 5 ms (ms/hop)"] > 5.0


def test_storage_keeps_every_row():
    found = registry.run_bench("storage", BenchSettings(scale=0.01, repeats=1)).as_dict()
    check_shape(found, "storage")
    assert found["counts_equal"] is True
    for kind, materials in (("straight hops", 20), ("relaxed hops", 10)):
        told = found["details"][kind]
        assert (told["materials"], told["ranking rows"]) == (materials, materials)
        assert told["hops"] == told["predictions"] == materials * HOPS_A_MATERIAL
        assert told["hops given again"] == told["hops"] // 10
        assert told["hops recorded/s"] > 0
        assert told["peak memory (MB)"] > 10


def test_unknown_name_names_those_there_are():
    done = run_cli("speed")
    assert done.returncode == 2
    assert "'speed'" in done.stderr
    for name in registry.BENCHES:
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_every_bench_in_a_list(monkeypatch):
    def fake(name, _settings):
        return BenchResult(name, 1, 2.0, {"peer": PeerResult(4.0, 2.0, 1)}, "ms/hop", counts_equal=True)

    monkeypatch.setattr("flows.cli.bench.run_bench", fake)
    answer = CliRunner().invoke(app, ["bench", "--json"])
    assert [one["name"] for one in json.loads(answer.stdout)] == list(registry.BENCHES)
    table = CliRunner().invoke(app, ["bench", "hops"]).stdout
    assert "ms/hop" in table
    assert "4.000" in table


def test_missing_peer_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatgen.analysis.diffusion.neb.pathfinder", None)
    monkeypatch.setitem(sys.modules, "pymatgen.analysis.diffusion.neb.full_path_mapper", None)
    with pytest.raises(MissingPeerError, match="pip install pymatgen-analysis-diffusion"):
        hops.bench(BenchSettings(limit=1))


def test_missing_ions_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ions.calculators", None)
    with pytest.raises(MissingPeerError, match="pip install ions"):
        paths.bench(BenchSettings(limit=1))


def test_peer_that_found_others_is_named():
    lengths = {
        "same": {OURS: [1.0, 2.0], "a": [1.0004, 2.0], "b": None},
        "other": {OURS: [1.0], "a": [1.0, 2.0], "b": [1.0]},
        "longer": {OURS: [1.0], "a": [1.0], "b": [1.5]},
    }
    assert hops.differing(lengths) == [f"other ({OURS} 1, a 2, b 1)", "longer (lengths by 0.5000 Å)"]


def test_turns_alternate_and_warm_up_first():
    order = []
    found = alternate({OURS: lambda: order.append("o"), "peer": lambda: order.append("p")}, repeats=3)
    assert "".join(order) == "op" + "op" + "po" + "op"
    assert found.keys() == {OURS, "peer"}


def test_peer_is_stopped_and_we_are_not():
    def slow():
        time.sleep(0.3)
        return 1

    found = alternate({OURS: slow, "peer": lambda: time.sleep(60)}, repeats=1, limit_s=0.2)
    assert found["peer"].seconds is None
    assert found[OURS].result == 1


def test_slow_peer_is_called_once():
    calls = []
    alternate({OURS: lambda: 1, "peer": lambda: calls.append(1)}, repeats=5, slow_s=0.0)
    assert len(calls) == 1


def test_no_rounds_are_refused():
    with pytest.raises(BenchError, match="0 rounds"):
        alternate({OURS: lambda: 1}, repeats=0)


def test_ratio_is_the_peers_time_over_ours():
    cases = [
        Case("a", 10.0, {OURS: 1.0, "peer": 3.0}, counts_equal=True),
        Case("b", 10.0, {OURS: 2.0, "peer": 2.0}, counts_equal=True),
        Case("c", 10.0, {OURS: 4.0, "peer": None}, counts_equal=False),
    ]
    times = summarise("x", cases, Unit("ms/hop"))
    assert times.ours_median == pytest.approx(200.0)
    assert times.peers["peer"] == PeerResult(median=pytest.approx(250.0), ratio=pytest.approx(2.0), cases=2)
    assert times.counts_equal is False
    rates = summarise("x", cases, Unit("hops/s"))
    assert rates.ours_median == pytest.approx(5.0)
    assert rates.peers["peer"].ratio == pytest.approx(2.0)


def test_nothing_to_measure_is_an_error():
    with pytest.raises(BenchError, match="nothing to measure"):
        summarise("x", [], Unit("s"))


def test_generated_rows_fit_and_blocks_do_not_overlap():
    first, second = tables(Block(0, 3)), tables(Block(3, 2))
    for name, data in first.items():
        row_type = row_type_of(name)
        both = conform(pa.concat_tables([data, second[name]]), row_type)
        keys = both.select(list(row_type.key)).to_pylist()
        assert len({tuple(key.values()) for key in keys}) == both.num_rows > 0


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return str(write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny"))


def test_trainer_predicts_what_a_plain_pass_does(model_folder):
    found = registry.run_bench("prediction", BenchSettings(limit=2, repeats=1, model=model_folder))
    check_shape(found.as_dict(), "prediction")
    assert found.counts_equal is True
    assert found.details["largest_difference_ev"] < 1e-4


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of Prefect's that is made once: the first start takes longest."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def prefect_home(home, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_home")
def test_orchestration_gives_the_same_results(model_folder):
    done = run_cli("orchestration", "--json", "--limit", "2", "--repeats", "1", "--model", model_folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_shape(found, "orchestration")
    assert found["counts_equal"] is True
    assert found["details"]["with_result"] == 2
    # How much quicker so few are is for the machine to say; of 2,000, docs/bench does (test_records.py).
    assert found["details"]["rerun_speedup"] == pytest.approx(
        found["ours_median"] / found["details"]["rerun_s"]
    )
    assert len(found["details"]["overhead_percent_of_each_pair"]) == 1
    # Who waits for hours sees what was timed.
    for side in ("lihop", "plain pool", "lihop again"):
        assert f"bench orchestration: {side}: " in done.stderr


def test_overhead_is_that_of_pairs():
    # Twice as slow a machine in the second pair: of medians or sums it would be something else.
    assert overheads_percent([11.0, 21.0, 10.0], [10.0, 20.0, 10.0]) == pytest.approx([10.0, 5.0, 0.0])
    with pytest.raises(ValueError, match="zip"):
        overheads_percent([1.0], [1.0, 2.0])


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_home")
def test_memory_is_that_of_whole_screenings(model_folder):
    done = run_cli("memory", "--json", "--limit", "10", "--model", model_folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_shape(found, "memory")
    assert found["counts_equal"] is True
    assert found["details"]["with_result"] == 10
    # Libraries alone take more than this.
    assert found["ours_median"] > 100


def test_memory_is_told_by_parts_of_the_way():
    watch = memory.Watch()
    watch.stage(HOPS, 20)
    watch.stage("percolation", 40)
    watch.advance(HOPS, 3)
    watch.advance("percolation", 1)
    assert (watch.done, watch.total) == (3, 20)
    # Two of the first tenth, none of the second, one of the third and one of the last.
    watch.seen = [(0, 100.0), (1, 120.0), (4, 90.0), (19, 95.0)]
    assert watch.by_parts() == [110.0, 90.0, 95.0]


def test_the_most_memory_is_told_of_the_stage_that_took_it():
    watch = memory.Watch()
    watch.stage(HOPS, 2)
    held = bytearray(128 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    del held
    watch.advance(HOPS, 2)
    watch.advance("percolation", 2)
    assert list(watch.peaks_mb) == [memory.PLANNING, HOPS, "percolation"]
    assert watch.peaks_mb[HOPS] - watch.peaks_mb["percolation"] > 64


def test_own_memory_is_what_is_in_no_file():
    before = own_memory_mb()
    held = bytearray(64 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    assert own_memory_mb() - before > 32
    assert held


def test_orchestration_is_measured_more_often_and_briefly_among_all():
    settings = BenchSettings()
    assert registry.usual("orchestration", settings, None, brief=False) == BenchSettings(repeats=5)
    assert registry.usual("orchestration", settings, 2, brief=True) == BenchSettings(repeats=2, limit=32)
    assert registry.usual("orchestration", BenchSettings(limit=9), None, brief=True).limit == 9
    assert registry.usual("hops", settings, None, brief=True) == settings


def test_variants_are_distinct_materials():
    from itertools import islice

    from flows.bench.variants import variants
    from tasks.candidates.cleaning import CleaningSettings, clean
    from tasks.candidates.cleaning_duplicates import merge_duplicates
    from tasks.candidates.source import RawMaterial

    # From both ends of what a whole bench is made of.
    some = [*islice(variants(), 12), *islice(variants(), 1_988, 2_000)]
    rows = [
        clean(
            RawMaterial(material_id=name, structure=structure, source="bench"),
            CleaningSettings(working_ion="Li"),
            name,
        )
        for name, structure in some
    ]
    assert len(set(merge_duplicates(rows).values())) == len(some)
