"""Coverage over divisions of the hosts: against known noise, and nothing leaks from judged to calibrating."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from models import coverage
from models.arrays import LabelledArrays
from models.calibration import NORMAL_90, calibrate
from models.coverage import coverage_study
from models.errors import InputError
from models.specs import GroupSpec, InputSpec

SPEC = InputSpec(groups=(GroupSpec(name="local", version=1, keys=("a",), shape=(1,)),))


def hops(log_barrier, hosts, ions=None):
    n = len(log_barrier)
    return LabelledArrays(
        inputs={"local": np.zeros((n, 1), np.float32)},
        barrier_ev=np.exp(log_barrier),
        ids=tuple(f"hop-{k}" for k in range(n)),
        hosts=tuple(hosts),
        ions=("Li",) * n if ions is None else tuple(ions),
        spec=SPEC,
    )


def noisy(n=1200, scale=0.3, spread=1.0, seed=0):
    """Barriers of a known spread, predicted with errors of a known scale, one hop a host."""
    rng = np.random.default_rng(seed)
    truth = spread * rng.normal(size=n)
    return hops(truth, [f"h{k}" for k in range(n)]), (truth + scale * rng.normal(size=n))[:, None]


def test_known_noise_gives_the_coverage_and_the_widths_of_normals(monkeypatch):
    rows, members = noisy()
    monkeypatch.setattr(coverage, "calibrate", partial(calibrate, power=0.0))
    found = coverage_study(rows, members, splits=60)
    assert found["coverage"]["mean"] == pytest.approx(0.9, abs=0.01)
    assert found["coverage_li"] == found["coverage"]
    assert found["median_ratio"]["mean"] == pytest.approx(np.exp(2 * NORMAL_90 * 0.3), rel=0.05)
    assert found["constant"]["coverage"]["mean"] == pytest.approx(0.9, abs=0.01)
    width = 2 * np.quantile(np.abs(rows.log_barrier() - np.median(rows.log_barrier())), 0.9)
    assert width == pytest.approx(2 * NORMAL_90, rel=0.1)
    assert np.log(found["constant"]["median_ratio"]["mean"]) == pytest.approx(width, rel=0.05)
    # Both halves have 600 rows: the quantile and what is judged each add a binomial's spread.
    assert found["coverage"]["sd"] == pytest.approx(np.sqrt(2 * 0.09 / 600), rel=0.3)
    assert found["coverage"]["p05"] < found["coverage"]["mean"] < found["coverage"]["p95"]
    assert (found["n"], found["n_hosts"], found["splits"], found["members"]) == (1200, 1200, 60, 1)
    json.loads(json.dumps(found, allow_nan=False))


def test_shares_count_splits():
    found = coverage_study(*noisy(), splits=60)
    assert 0.5 < found["share_wanted"] < found["share_least"] <= 1


def test_an_ion_that_errs_more_is_covered_less():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=1200)
    ions = ["Li" if k % 4 == 0 else "Na" for k in range(1200)]
    scale = np.where(np.array(ions) == "Li", 0.6, 0.2)
    rows = hops(truth, [f"h{k}" for k in range(1200)], ions)
    found = coverage_study(rows, (truth + scale * rng.normal(size=1200))[:, None], splits=20)
    assert found["coverage"]["mean"] == pytest.approx(0.9, abs=0.02)
    assert found["coverage_li"]["mean"] < 0.8
    other = hops(truth, rows.hosts, ["Na"] * 1200)
    assert coverage_study(other, np.zeros((1200, 1)), splits=2)["coverage_li"] is None


def test_no_host_calibrates_and_is_judged(monkeypatch):
    rng = np.random.default_rng(3)
    hosts = [f"h{k % 11}" for k in range(66)]
    rows, members = hops(rng.normal(size=66), hosts), rng.normal(size=(66, 2))
    seen = []

    def remember(log_barrier, member_log_barriers, calibrating):
        seen.append(set(calibrating))
        return original(log_barrier, member_log_barriers, calibrating)

    original = coverage.calibrate
    monkeypatch.setattr(coverage, "calibrate", remember)
    coverage_study(rows, members, splits=7)
    assert [len(one) for one in seen] == [5] * 7
    assert len({frozenset(one) for one in seen}) > 3
    # A wild barrier of a judged host moves no interval: only what is judged changes.
    judged = next(host for host in sorted(set(hosts)) if host not in seen[0])
    wild = rows.barrier_ev.copy()
    wild[[host == judged for host in hosts]] = 1e6
    first = coverage_study(rows, members, splits=1)
    other = coverage_study(dataclasses.replace(rows, barrier_ev=wild), members, splits=1)
    assert other["median_ratio"] == first["median_ratio"]
    assert other["coverage"]["mean"] < first["coverage"]["mean"]


def test_the_seed_decides():
    given = noisy(n=80)
    assert coverage_study(*given, splits=5) == coverage_study(*given, splits=5)
    assert coverage_study(*given, splits=5) != coverage_study(*given, splits=5, seed=1)


def test_too_few_hosts_or_splits_are_refused():
    rows, members = noisy(n=10)
    with pytest.raises(InputError, match="0 splits"):
        coverage_study(rows, members, splits=0)
    with pytest.raises(InputError, match="1 hosts"):
        coverage_study(rows.take([0]), members[:1])
