"""The fold file holds every hop of the data set once, splits no host, and is what its command makes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from flows.cli.folds import make_folds
from tasks.datasets.devi2025_folds import FOLDS_FILE, fold_of_each, read_folds
from tasks.datasets.errors import DatasetError


def test_ten_folds_of_nearly_equal_size():
    found = read_folds()
    sizes = Counter(found["folds"].values())
    assert sorted(sizes) == list(range(10))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert (found["dataset"], found["n_folds"], found["n_hops"]) == ("devi2025", 10, len(found["folds"]))
    assert "whole hosts" in found["rule"]


def test_folds_are_given_in_the_order_of_the_ids():
    folds = read_folds()["folds"]
    ids = sorted(folds, reverse=True)
    assert fold_of_each(ids) == [folds[identifier] for identifier in ids]


def test_other_hops_are_refused():
    ids = sorted(read_folds()["folds"])
    with pytest.raises(DatasetError, match=r"1 of them are not at hand, e\.g\. \['devi2025:test-0'\]"):
        fold_of_each(ids[1:])
    with pytest.raises(DatasetError, match=r"1 at hand stand in no fold, e\.g\. \['mine:1'\]"):
        fold_of_each([*ids, "mine:1"])


@pytest.mark.parametrize("text", ["", "[]", '{"folds": [1, 2]}', '{"folds": {"a": "x"}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match="is no fold file"):
        read_folds(path)


@pytest.mark.data
def test_the_file_is_what_the_data_and_the_rule_give(devi2025_dir):
    made = make_folds(devi2025_dir)
    assert made == json.loads(FOLDS_FILE.read_text())
    assert made["n_hops"] == 619


@pytest.mark.data
def test_no_host_is_in_two_folds(devi2025_dir):
    from tasks.datasets import devi2025

    folds = read_folds()["folds"]
    seen, of_host = set(), {}
    for split in devi2025.FILES:
        for entry in devi2025.read_entries(devi2025_dir, split):
            record = devi2025.record_of(entry, split)
            identifier = f"devi2025:{record.hop_id}"
            seen.add(identifier)
            of_host.setdefault(record.host_formula, set()).add(folds[identifier])
    assert seen == set(folds)
    assert len(of_host) == read_folds()["n_hosts"]
    assert all(len(found) == 1 for found in of_host.values())
