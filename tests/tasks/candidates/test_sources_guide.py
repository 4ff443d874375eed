"""The guide to sources: the class in it is run as it stands, and so is what it says of itself."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymatgen.core import Lattice, Structure

from storage.records import Reason
from tasks.batches import prepare
from tasks.candidates.cleaning import CleaningSettings
from tasks.candidates.source import EmptySourceError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

GUIDE = Path(__file__).parents[3] / "docs" / "sources.md"


@pytest.fixture(scope="module")
def lines_source() -> Iterator[Any]:
    """Return the class of the guide, from a module that pickling finds."""
    (code,) = re.findall(
        r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(code.splitlines()) < 100
    module = types.ModuleType("lines_source_of_the_guide")
    sys.modules[module.__name__] = module
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)
    yield module.LinesSource
    del sys.modules[module.__name__]


def line(edge_ang: float) -> str:
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge_ang), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    return json.dumps(structure.as_dict())


def test_the_class_of_the_guide_is_a_source(lines_source: Any, tmp_path: Path) -> None:
    path = tmp_path / "structures.jsonl"
    path.write_text("\n".join([line(4.0), '{"sites": []}', "", "{", line(4.2)]))
    source = pickle.loads(pickle.dumps(lines_source(str(path))))
    done = prepare(source, [(item, item.digest) for item in source.items()], CleaningSettings(), None)
    assert [(row.material_id, row.source, row.formula) for row in done.candidates] == [
        ("line-1", "lines", "LiF"),
        ("line-5", "lines", "LiF"),
    ]
    assert [(row.material_id, row.reason) for row in done.failures] == [
        ("line-2", Reason.UNREADABLE_FILE),
        ("line-4", Reason.UNREADABLE_FILE),
    ]


def test_its_digest_follows_the_content(lines_source: Any, tmp_path: Path) -> None:
    path = tmp_path / "structures.jsonl"
    path.write_text(f"{line(4.0)}\n{line(4.1)}")
    before = [item.digest for item in lines_source(str(path)).items()]
    path.write_text(f"{line(4.0)}\n{line(4.2)}")
    after = [item.digest for item in lines_source(str(path)).items()]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_its_errors_are_those_of_sources(lines_source: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        lines_source(str(tmp_path / "not-there")).items()
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(EmptySourceError, match="holds no line"):
        lines_source(str(tmp_path / "empty")).items()


def commands() -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    found = re.findall(r"^\$ (lihop .*)$", text, re.MULTILINE) + re.findall(r"`(lihop [^`]*)`", text)
    return sorted(set(found))


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_guide_has_flags_that_exist(command: str) -> None:
    from typer.main import get_command

    from flows.cli.main import app

    _, name, *words = command.split()
    known = {
        flag for one in get_command(app).commands[name].params for flag in (*one.opts, *one.secondary_opts)
    }
    flags = {word for word in words if word.startswith("--")}
    assert flags <= known | {"--help"}


def test_the_guide_names_every_source() -> None:
    from typing import get_args

    from flows.parameters import ScreenParameters

    text = GUIDE.read_text(encoding="utf-8")
    sources = get_args(ScreenParameters.model_fields["source"].annotation)
    assert len(sources) > 3
    assert all(f"| `{name}` |" in text for name in sources)


def source_classes() -> dict[str, type]:
    """Return the class of every source that can be asked for, and those of what was synced."""
    from typing import get_args

    from flows.parameters import ScreenParameters
    from flows.sources import make_source
    from flows.stored import StoredSource

    found: dict[str, type] = {}
    for name in get_args(ScreenParameters.model_fields["source"].annotation):
        source = make_source(ScreenParameters(source=name, path="." if name == "files" else None))
        if isinstance(source, StoredSource):
            found["stored"] = StoredSource
            found[name] = type(source.remote)
        else:
            found[name] = type(source)
    return found


def test_every_source_is_one_class_of_under_a_hundred_lines() -> None:
    classes = source_classes()
    assert {"reference", "files", "mp", "optimade", "stored"} <= set(classes)
    lengths = {name: len(inspect.getsource(one).splitlines()) for name, one in classes.items()}
    assert {name: length for name, length in lengths.items() if length >= 100} == {}
