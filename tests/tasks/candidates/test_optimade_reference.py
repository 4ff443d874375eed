"""OPTIMADE as a source, against the reference server and the adapters of optimade-python-tools."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks.candidates.optimade import OptimadeQuery, OptimadeSource
from tasks.candidates.source import RawMaterial, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymatgen.core import Structure


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.servers.optimade_reference"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the reference server did not start"
        yield url
        process.terminate()


def source_of(base_url: str, **asked: object) -> OptimadeSource:
    return OptimadeSource(OptimadeQuery(base_urls=(base_url,), **asked), page_limit=4, wait_s=0.01)


def documents() -> dict[str, dict]:
    from optimade.server import data

    return {str(one["task_id"]): one for one in data.structures}


def crystals_of(source: OptimadeSource) -> dict[str, Structure]:
    ids = [one.entry_id for page in source.index() for one in page.entries]
    fetched = source.fetch(ids)
    assert fetched.quarantined == ()
    assert fetched.vanished == ()
    materials = [one for entry in fetched.entries for one in source.material(entry.content)]
    assert all(isinstance(one, RawMaterial) for one in materials)
    return {one.other_ids[0]: one.structure for one in materials if isinstance(one, RawMaterial)}


def test_all_its_structures_come_over_several_pages(base_url: str) -> None:
    pages = list(source_of(base_url, filter='elements HAS "Ac" OR nsites>0').index())
    assert len(pages) > 3
    assert pages[-1].seen == pages[-1].total == len(documents())
    assert {one.aliases[0] for page in pages for one in page.entries} == set(documents())


def test_structures_are_those_of_its_own_adapter(base_url: str) -> None:
    import httpx
    from optimade.adapters import Structure as Adapter

    found = crystals_of(source_of(base_url, filter="nsites>0"))
    assert set(found) == set(documents())
    answer = httpx.get(f"{base_url}/v1/structures", params={"page_limit": 100}, trust_env=False).json()
    compared = 0
    for document in answer["data"]:
        if "disorder" in document["attributes"]["structure_features"]:
            continue
        with warnings.catch_warnings():
            # Its documents lack fields that the standard recommends.
            warnings.simplefilter("ignore")
            expected = Adapter(document).as_pymatgen
        ours = found[document["id"]]
        assert ours.composition == expected.composition
        assert np.allclose(ours.lattice.matrix, expected.lattice.matrix)
        assert np.allclose(ours.cart_coords, expected.cart_coords)
        assert [site.species_string for site in ours] == [site.species_string for site in expected]
        compared += 1
    assert compared > 5


@pytest.mark.parametrize(
    "asked",
    [
        {"working_ion": "Ag", "max_sites": None},
        {"working_ion": "Ag", "any_of": ("Br", "Te"), "max_sites": None},
        {"working_ion": "Ag", "elements": ("Cl",), "max_elements": 4},
        {"working_ion": "Ac", "max_sites": 5},
    ],
)
def test_filters_select_what_they_say(base_url: str, asked: dict) -> None:
    query = OptimadeQuery(base_urls=(base_url,), **asked)
    expected = {
        name
        for name, one in documents().items()
        if {query.working_ion, *query.elements} <= set(one["elements"])
        and (not query.any_of or set(query.any_of) & set(one["elements"]))
        and (query.max_elements is None or one["nelements"] <= query.max_elements)
        and (query.max_sites is None or one["nsites"] <= query.max_sites)
    }
    assert expected
    assert expected != set(documents())
    assert set(crystals_of(source_of(base_url, **asked))) == expected


def test_it_states_no_version_of_its_data(base_url: str) -> None:
    assert source_of(base_url).version() is None


def test_what_it_does_not_know_is_an_error_with_its_own_words(base_url: str) -> None:
    with pytest.raises(SourceError, match="optimade_not_there"):
        list(source_of(base_url, filter="optimade_not_there=1").index())
