"""`lihop data`: descriptors and hops."""

from __future__ import annotations

import json

import pytest

from tests.campaigns import GOOD, write_bad, write_cif


class TestData:
    def test_descriptors(self, lihop):
        rows = json.loads(lihop("data", "descriptors", "--json").out)
        assert {"group", "key", "shape", "unit", "meaning", "reference"} <= set(rows[0])

    def test_hops_of_a_file(self, lihop, tmp_path):
        path = write_cif(GOOD["lif.cif"], tmp_path / "lif.cif")
        found = json.loads(lihop("data", "hops", path, "--json").out)
        assert found["hops"][0]["multiplicity"] == 6
        assert len(found["hops"][0]["orbit"]) == 6
        assert lihop("data", "hops", path).code == 0

    def test_hops_of_a_reference_material(self, lihop):
        found = json.loads(lihop("data", "hops", "LiFePO4", "--json").out)
        assert found["hops"][0]["distance_ang"] == pytest.approx(3.0, abs=0.05)

    def test_hops_of_what_is_not_there(self, lihop):
        result = lihop("data", "hops", "unobtainium")
        assert result.code == 2
        assert result.is_one_message
        assert "ref-lifepo4" in result.err

    @pytest.mark.parametrize("name", ["no-ion.cif", "partly.cif", "broken.cif", "overlap.cif"])
    def test_hops_of_a_bad_file(self, lihop, tmp_path, name):
        write_bad(tmp_path)
        result = lihop("data", "hops", tmp_path / name)
        assert result.code == 2
        assert result.is_one_message

    def test_hops_of_a_file_whose_first_structure_is_bad(self, lihop, tmp_path):
        (tmp_path / "a.json").write_text(json.dumps([{}, GOOD["lif.cif"].as_dict()]), encoding="utf-8")
        result = lihop("data", "hops", tmp_path / "a.json")
        assert result.code == 2
        assert "a.json#1 cannot be read" in result.err

    def test_hops_with_a_bad_cutoff(self, lihop):
        result = lihop("data", "hops", "LiFePO4", "--cutoff-ang", "-3")
        assert result.code == 2
        assert result.is_one_message
