"""Runs are called by what they screen, in a line that fits a list."""

from __future__ import annotations

import pytest

from flows.parameters import ScreenParameters, SyncParameters
from flows.run_names import run_name, sync_name

DEEP = "/data/projects/battery/2026/screening/cathodes/structures/layered"
LONGEST = 120


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "Li reference"),
        ({"working_ion": "Na"}, "Na reference"),
        ({"limit": 3}, "Li reference, first 3"),
        ({"state": "charged"}, "Li reference, charged"),
        ({"state": "both", "limit": 7}, "Li reference, both states, first 7"),
        ({"source": "files", "path": "here"}, "Li files here"),
        ({"source": "files", "path": "/a/short/path.cif"}, "Li files /a/short/path.cif"),
        ({"source": "files", "path": DEEP}, "Li files .../cathodes/structures/layered"),
        ({"source": "files", "path": f"{DEEP}/"}, "Li files .../cathodes/structures/layered"),
        ({"source": "files", "path": f"/a/{'x' * 60}.cif"}, f"Li files ...{'x' * 33}.cif"),
        ({"source": "mp"}, "Li mp electrodes"),
        ({"source": "mp", "mp": {"kind": "oxides", "elements": ["Mn"]}}, "Li mp oxides, with Mn"),
        (
            {"source": "mp", "mp": {"chemsys": ["Li-O-Co"], "exclude_elements": ["F"]}, "limit": 10},
            "Li mp electrodes, Co-Li-O, without F, first 10",
        ),
        ({"source": "mp", "mp": {"material_ids": ["mp-22526"]}}, "Li mp electrodes, mp-22526"),
        (
            {"source": "mp", "mp": {"material_ids": [f"mp-{n}" for n in range(1, 6)]}},
            "Li mp electrodes, mp-1 ... (5 ids)",
        ),
        ({"source": "optimade"}, "Li optimade optimade.materialsproject.org"),
        (
            {"source": "optimade", "optimade": {"elements": ["O"], "any_of": ["Mn", "Ni"]}},
            "Li optimade optimade.materialsproject.org, with O, any of Mn-Ni",
        ),
        (
            {"source": "optimade", "optimade": {"filter": 'elements HAS ALL "Li", "O"'}},
            'Li optimade optimade.materialsproject.org, elements HAS ALL "Li", "O"',
        ),
        ({"resume": "20260101T000000-abc"}, "resume 20260101T000000-abc"),
    ],
)
def test_a_screening_is_called_by_what_it_screens(asked, name):
    assert run_name(ScreenParameters(**asked)) == name
    assert len(name) < LONGEST


def test_one_that_is_gone_on_with_is_called_by_what_it_screens_too():
    found = ScreenParameters(source="mp", mp={"elements": ["Mn"]}, limit=7)
    assert run_name(ScreenParameters(resume="latest"), found) == (
        "resume latest: Li mp electrodes, with Mn, first 7"
    )


def test_a_long_filter_is_cut():
    asked = {"filter": " OR ".join(f'id = "{n}"' for n in range(100))}
    name = run_name(ScreenParameters(source="optimade", optimade=asked))
    assert name.endswith("...")
    assert len(name) < LONGEST


def test_what_is_asked_of_another_source_is_not_told():
    assert run_name(ScreenParameters(mp={"elements": ["Mn"]})) == "Li reference"


def test_a_sync_is_called_by_its_source_and_what_it_asks():
    assert sync_name(SyncParameters(mp={"elements": ["Fe", "O"]})) == "Li mp electrodes, with Fe-O"
