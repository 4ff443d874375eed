"""A key changes with everything that its rows are computed from, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.candidates.cleaning import CleaningSettings
from tasks.candidates.source import SourceItem
from tasks.descriptors import assemble
from tasks.hops import bvse, network, path, percolation, relaxed_path, sites
from tasks.stage_keys import HopSettings, PercolationSettings, candidate_key, digest_of, prediction_key

ITEM = SourceItem(source="files", item_id="a.cif", location="/somewhere/a.cif", digest="d")


def test_digests_do_not_depend_on_the_order_of_a_dict():
    assert digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2.0], "a": 1})
    assert digest_of(1, 2) != digest_of(12)
    assert digest_of("1") != digest_of(1)


@pytest.mark.parametrize(
    "changed",
    [
        {"working_ion": "Na"},
        {"cutoff_ang": 4.0},
        {"cutoff_ang": 0.1},
        {"max_hops": 3},
        {"max_hops": None},
        {"path": "straight"},
        {"sites": "bvse"},
    ],
)
def test_every_hop_setting_counts(changed):
    settings = HopSettings()
    assert replace(settings, **changed).key("h") != settings.key("h")
    assert settings.key("h") != settings.key("other")
    assert HopSettings().key("h") == settings.key("h")


@pytest.mark.parametrize("module", [sites, network, path, relaxed_path, assemble])
def test_every_version_behind_the_hops_counts(module, monkeypatch):
    before = HopSettings().key("h")
    monkeypatch.setattr(module, "STAGE_VERSION", f"after {module.STAGE_VERSION}")
    assert HopSettings().key("h") != before


def test_the_tables_that_descriptors_read_count(monkeypatch):
    before = HopSettings().key("h")
    monkeypatch.setattr(assemble, "tables_digest", lambda: "other radii")
    assert HopSettings().key("h") != before


def test_the_parameters_of_the_site_energy_count(monkeypatch):
    before = HopSettings().key("h")
    monkeypatch.setattr(bvse, "bvse_tables_digest", lambda: "other parameters")
    assert HopSettings().key("h") != before


def test_the_version_of_empty_sites_counts_where_there_are_some(monkeypatch):
    before = [HopSettings(sites=kind).key("h") for kind in ("occupied", "bvse")]
    monkeypatch.setattr(sites, "EMPTY_SITES_VERSION", sites.EMPTY_SITES_VERSION + 1)
    after = [HopSettings(sites=kind).key("h") for kind in ("occupied", "bvse")]
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.parametrize("changed", [{"dim_window_ev": 0.2}, {"draws": 200}, {"seed": 1}])
def test_every_percolation_setting_counts(changed):
    settings = PercolationSettings()
    assert replace(settings, **changed).key("p") != settings.key("p")


def test_the_version_of_percolation_counts(monkeypatch):
    before = PercolationSettings().key("p")
    monkeypatch.setattr(percolation, "STAGE_VERSION", percolation.STAGE_VERSION + 1)
    assert PercolationSettings().key("p") != before


def test_predictions_follow_hops_and_model():
    keys = {prediction_key(hops, model) for hops in ("a", "b") for model in ("m", "n")}
    assert len(keys) == 4


@pytest.mark.parametrize("changed", [{"source": "reference"}, {"item_id": "b.cif"}, {"digest": "e"}])
def test_what_makes_a_candidate_counts(changed):
    digest = CleaningSettings().digest()
    assert candidate_key(replace(ITEM, **changed), digest) != candidate_key(ITEM, digest)


def test_where_a_file_lies_does_not_count():
    moved = replace(ITEM, location="/elsewhere/a.cif")
    assert candidate_key(moved, "c") == candidate_key(ITEM, "c")


def test_cleaning_settings_count():
    digests = {CleaningSettings(ion, sites).digest() for ion in ("Li", "Na") for sites in (10, 20)}
    assert len(digests) == 4
