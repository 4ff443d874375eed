"""Parameters are refused before a run exists, and their digest follows what decides the results."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flows.naming import new_run_id
from flows.parameters import ScreenParameters
from flows.run_names import run_name


@pytest.mark.parametrize(
    "changed", [{"working_ion": "Na"}, {"limit": 3}, {"max_sites": 20}, {"max_hops": 5}, {"cutoff_ang": 4.0},
                {"paths": "straight"}, {"sites": "bvse"}, {"model": "other"},
                {"source": "files", "path": "x"}]
)  # fmt: skip
def test_what_decides_the_results_counts(changed):
    assert ScreenParameters(**changed).digest() != ScreenParameters().digest()


@pytest.mark.parametrize(
    "changed", [{"database": "x.duckdb"}, {"batch_size": 3}, {"workers": 4}, {"retry": ("time_limit",)}]
)
def test_what_does_not_decide_them_does_not(changed):
    assert ScreenParameters(**changed).digest() == ScreenParameters().digest()


@pytest.mark.parametrize(
    "bad", [{"limit": 0}, {"max_sites": 1}, {"max_hops": 0}, {"cutoff_ang": 0}, {"cutoff_ang": float("nan")},
            {"time_limit_s": 0}, {"batch_size": 0}, {"workers": 0}, {"max_file_mb": 0}, {"source": "files"},
            {"max_file_mb": float("inf")}, {"max_file_mb": 1e16},
            {"path": "x"}, {"colour": "red"}, {"sites": "bvse", "paths": "straight"},
            {"retry": ("bad luck",)}]
)  # fmt: skip
def test_bad_values_are_refused(bad):
    with pytest.raises(ValidationError):
        ScreenParameters(**bad)


def test_the_form_has_literal_defaults_and_texts():
    schema = ScreenParameters.model_json_schema()
    for name, field in schema["properties"].items():
        assert field["title"], name
        assert field["description"], name
        assert "default" in field, name


def test_run_ids_differ_and_runs_are_named_by_what_they_screen():
    assert new_run_id() != new_run_id()
    assert run_name(ScreenParameters(source="files", path="here")) == "Li files here"
    assert run_name(ScreenParameters(working_ion="Na")) == "Na reference"
