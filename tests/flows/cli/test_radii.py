"""The sweep behind docs/topology-radii.md: whole hosts are held out, and rows are compared in pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flows.cli import radii
from models.arrays import LabelledArrays
from models.specs import GroupSpec, InputSpec
from tasks.datasets import devi2025
from tasks.descriptors.persistence_settings import DEFAULT
from tasks.descriptors.registry.topology import descriptors
from tasks.descriptors.scene import survey


@pytest.fixture
def rows():
    n = 24
    rng = np.random.default_rng(0)
    groups = (
        GroupSpec(name="local", version=1, keys=("a", "b"), shape=(2,)),
        GroupSpec(name="topology", version=1, keys=("c",), shape=(1,)),
    )
    return LabelledArrays(
        inputs={"local": rng.normal(size=(n, 2)), "topology": rng.normal(size=(n, 1))},
        barrier_ev=rng.uniform(0.2, 4.0, n),
        ids=tuple(f"hop {k}" for k in range(n)),
        hosts=tuple(f"host {k // 3}" for k in range(n)),
        ions=("Li",) * n,
        spec=InputSpec(groups=groups),
    )


def test_topology_is_swapped_left_alone_or_left_out(rows):
    spec = GroupSpec(name="topology", version=1, keys=("d", "e"), shape=(2,))
    values = np.ones((len(rows), 2), dtype=np.float32)
    together = radii.with_topology(rows, values, spec, alone=False)
    assert together.spec.names() == ("local", "topology")
    np.testing.assert_array_equal(together.inputs["topology"], values)
    np.testing.assert_array_equal(together.inputs["local"], rows.inputs["local"])
    assert radii.with_topology(rows, values, spec, alone=True).spec.names() == ("topology",)
    assert radii.with_topology(rows, None, spec, alone=False).spec.names() == ("local",)


def test_no_host_is_in_training_while_it_is_predicted(rows, monkeypatch):
    seen = []

    def trees(training, inputs, *, seed):
        held_out = {
            host
            for host, row in zip(rows.hosts, rows.inputs["local"], strict=True)
            if any((row == other).all() for other in inputs["local"])
        }
        assert held_out.isdisjoint(training.hosts)
        seen.append((seed, len(inputs["local"])))
        return np.full(len(inputs["local"]), 1.0)

    monkeypatch.setattr(radii, "predict_trees", trees)
    np.testing.assert_allclose(radii.errors_ev(rows), np.abs(1.0 - rows.barrier_ev))
    assert [sum(n for by, n in seen if by == seed) for seed in radii.SEEDS] == [len(rows)] * len(radii.SEEDS)


def test_row_of_the_table(rows):
    n = len(rows)
    first = radii.Outcome("first", 10, radii.Cost(3.0, 2.0, 0.25), np.full(n, 0.3), np.full(n, 0.2))
    other = radii.Outcome("other", 12, radii.Cost(5.25, 4.0, np.nan), np.full(n, 0.35), np.full(n, 0.2))
    assert radii.table_row(first, first, rows) == (
        "| first | 10 | 3.0 | 2.0 | 0.25 | 0.300 [0.300, 0.300] | 0.300 [0.300, 0.300] |  "
        "| 0.200 [0.200, 0.200] | 0.200 [0.200, 0.200] |  |"
    )
    cells = radii.table_row(other, first, rows).strip("| ").split(" | ")
    assert len(cells) == len(radii.COLUMNS)
    assert cells[4] == ""
    assert cells[7] == "+0.050 [+0.050, +0.050]"
    assert cells[10] == "+0.000 [+0.000, +0.000]"
    alone = replace(other, together_ev=None)
    assert radii.table_row(alone, first, rows).endswith("[+0.050, +0.050] |  |  |  |")
    without = radii.Outcome(radii.NO_TOPOLOGY, 0, None, None, np.where(rows.barrier_ev < 3.0, 0.2, 9.0))
    cells = radii.table_row(without, first, rows).strip("| ").split(" | ")
    assert cells[9] == "0.200 [0.200, 0.200]"
    assert float(cells[8].split()[0]) > 0.2


def test_settings_differ_from_the_base_one_at_a_time():
    first, *others = radii.SETTINGS.values()
    assert first == radii.BASE
    assert DEFAULT in others
    assert set(radii.SETTINGS) >= radii.TOGETHER
    assert len(set(radii.SETTINGS.values())) == len(radii.SETTINGS)
    for settings in others:
        apart = [name for name in vars(settings) if getattr(settings, name) != getattr(first, name)]
        assert len(apart) == 1


def test_share_of_hops_with_a_cage_open_at_the_threshold():
    keys = ("other", radii.LAST_CAGE)
    values = np.array([[6.0, np.nan], [6.0, 5.9], [0.0, 6.0], [0.0, 4.0]], dtype=np.float32)
    assert radii._cut(values, keys, DEFAULT) == pytest.approx(1.0 / 3.0)
    assert np.isnan(radii._cut(values[:1], keys, DEFAULT))
    assert np.isnan(radii._cut(values[:, :1], keys[:1], DEFAULT))
    assert radii.LAST_CAGE in [descriptor.key for descriptor in descriptors()]


@pytest.mark.data
def test_costs_and_shapes_under_other_settings(devi2025_hops):
    settings = replace(DEFAULT, ion="none", element_dimension=None)
    scenes = [survey(hop.environment) for hop in devi2025_hops]
    values, spec, cost = radii.topology_under(settings, scenes)
    assert spec.keys == tuple(descriptor.key for descriptor in descriptors(settings))
    assert values.shape == (len(scenes), *spec.shape)
    assert cost.group_ms > 0.0


@pytest.fixture
def devi2025_hops(devi2025_dir):
    return [devi2025.hop_of(row, "train") for row in devi2025.read_entries(devi2025_dir, "train")[::200]]


@pytest.mark.data
def test_only_training_hops_are_read(devi2025_dir, monkeypatch):
    asked = []
    real = devi2025.read_entries

    def read(folder, split):
        asked.append(split)
        return real(folder, split)[:2]

    monkeypatch.setattr(devi2025, "read_entries", read)
    monkeypatch.setattr(devi2025, "find_data_dir", lambda explicit: devi2025_dir)
    hops = radii.labelled_hops()
    assert asked == ["train"]
    assert len(hops) == 2
    assert all(hop.split == "train" and hop.environment.relaxed is not None for hop in hops)
