"""`lihop data`: descriptors and hops."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.campaigns import GOOD, write_bad, write_cif


class TestData:
    def test_descriptors(self, lihop):
        rows = json.loads(lihop("data", "descriptors", "--json").out)
        assert {"group", "key", "shape", "unit", "meaning", "reference"} <= set(rows[0])
        page = lihop("data", "descriptors", "--markdown").out
        assert all(f"`{row['key']}`" in page for row in rows)
        assert lihop("data", "descriptors", "--markdown", "--json").code == 2

    def test_hops_of_a_file(self, lihop, tmp_path):
        path = write_cif(GOOD["lif.cif"], tmp_path / "lif.cif")
        found = json.loads(lihop("data", "hops", path, "--json").out)
        assert found["hops"][0]["multiplicity"] == 6
        assert len(found["hops"][0]["orbit"]) == 6
        assert lihop("data", "hops", path).code == 0

    def test_hops_of_a_reference_material(self, lihop):
        found = json.loads(lihop("data", "hops", "LiFePO4", "--json").out)
        assert found["hops"][0]["distance_ang"] == pytest.approx(3.0, abs=0.05)

    def test_hops_as_json_say_all_that_is_known(self, lihop):
        found = json.loads(lihop("data", "hops", "LiCoO2", "--cutoff-ang", "3", "--json").out)
        assert {
            "material_id",
            "formula",
            "working_ion",
            "cutoff_ang",
            "reached_dim",
            "symmetry_found",
        } <= set(found)
        isolated, divacancy = found["hops"]
        assert (isolated["mechanism"], isolated["also_vacant"]) == ("isolated", None)
        assert (divacancy["mechanism"], divacancy["multiplicity"]) == ("divacancy", 6)
        assert divacancy["orbit_also_vacant"][0] == divacancy["also_vacant"]
        assert len(divacancy["orbit_also_vacant"]) == len(divacancy["orbit"]) == 6
        for hop in found["hops"]:
            step = np.subtract(hop["frac_j"], hop["frac_i"]) @ found["lattice_ang"]
            assert np.linalg.norm(step) == pytest.approx(hop["distance_ang"])
            assert (hop["direction_symmetric"], hop["blocked_by"]) == (True, None)

    def test_hops_as_a_table(self, lihop):
        result = lihop("data", "hops", "LiCoO2", "--cutoff-ang", "3")
        assert result.code == 0
        assert "divacancy" in result.out
        assert "2 symmetry-distinct hops, 9 in the cell of 4 sites" in result.out

    def test_hops_of_another_ion(self, lihop, tmp_path):
        path = write_cif(GOOD["lif.cif"].copy().replace_species({"Li": "Na"}), tmp_path / "naf.cif")
        assert lihop("data", "hops", path).code == 2
        found = json.loads(lihop("data", "hops", path, "--working-ion", "Na", "--json").out)
        assert (found["working_ion"], len(found["hops"])) == ("Na", 1)

    @pytest.mark.data
    def test_hops_of_devi2025(self, lihop, devi2025_dir):
        given = ("--data-dir", devi2025_dir.parent, "--cutoff-ang", "4", "--json")
        found = json.loads(lihop("data", "hops", "test-2", *given).out)
        assert (found["working_ion"], found["formula"]) == ("Ca", "Ca3Cr4(SO4)6")
        assert [0, 1, 0, 0, 0] in [edge for hop in found["hops"] for edge in hop["orbit"]]
        by_name = json.loads(lihop("data", "hops", "cacr2s3o12", *given).out)
        assert by_name["hops"] == found["hops"]

    def test_hops_of_devi2025_where_it_is_not(self, lihop, tmp_path):
        result = lihop("data", "hops", "test-2", "--data-dir", tmp_path)
        assert result.code == 2
        assert result.is_one_message
        assert "LIHOP_DATA_DIR" in result.err

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

    def test_hops_of_several_structures_are_refused_not_picked_from(self, lihop, tmp_path):
        two = [GOOD["lif.cif"].as_dict(), GOOD["lif.cif"].as_dict()]
        (tmp_path / "two.json").write_text(json.dumps(two), encoding="utf-8")
        result = lihop("data", "hops", tmp_path / "two.json")
        assert result.code == 2
        assert "give a file that holds one structure" in result.err

    def test_hops_with_a_bad_cutoff(self, lihop):
        result = lihop("data", "hops", "LiFePO4", "--cutoff-ang", "-3")
        assert result.code == 2
        assert result.is_one_message
