"""What docs/how-to.md says of getting results out is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "how-to.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(screened, tmp_path, monkeypatch):
    shutil.copyfile(screened.database, tmp_path / "lihop.duckdb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(lihop, here):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 7
    for line in lines:
        command, *arguments = shlex.split(line)
        assert command == "lihop"
        result = lihop(*arguments)
        assert (result.code, result.err) == (0, ""), line
    made = {path.name for path in here.iterdir()}
    assert {"low.parquet", "hops.parquet", "structures", "licoo2.extxyz", "paths.extxyz", "paths"} <= made


def test_python(here):
    (snippet,) = blocks("python")
    names = {}
    exec(compile(snippet, "docs/how-to.md", "exec"), names)
    assert len(names["ranking"]) > 3
    assert names["hops"].num_rows > 0
    assert names["few"].column_names == ["formula"]
    assert names["structure"].composition.reduced_formula == "LiCoO2"
    assert names["atoms"].info["formula"] == "LiCoO2"
