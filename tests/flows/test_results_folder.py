"""A results folder is given once, and a URI that holds a secret is refused without a word of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import ValidationError as FormError
from prefect.utilities.schema_tools import validate

from flows.parameters import ScreenParameters
from flows.screen import screen_cathodes
from storage import moving, vacuum
from storage.errors import FolderError
from storage.folder_names import KINDS, normalised
from storage.places import paths_of
from storage.results_folder import remembered, settle, shards_of
from tests.campaigns import write_good
from tests.flows.cli.conftest import lihop

__all__ = ["lihop"]

SECRET = "hunter2"
SECRETIVE = [
    f"s3://AKIA:{SECRET}@bucket/x",
    f"s3://AKIA:{SECRET[:3]}/{SECRET}@bucket/x",
    f"s3://bucket/x?access_key=AKIA&secret_key={SECRET}",
    f"s3://bucket/x?session_token={SECRET}",
    f"s3://bucket/x?endpoint_override=http://me:{SECRET}@127.0.0.1:9000",
    f"abfs://account:{SECRET}@container/x",
    f"hdfs://me:{SECRET}@host/x",
    f"https://me:{SECRET}@host/x",
]
REFUSED = [
    f"s3://[{SECRET}/x", f"s3://bucket/x#{SECRET}", f"s3://bucket/x?{SECRET}", "s3:/bucket/x", "s3:///x", "s3://",
    "ftp://host/x", "", " ", "s3://bucket/x?allow_bucket_creation=true", "file://host/x", "gs://a/b?region=x",
]  # fmt: skip


@pytest.mark.parametrize("given", [*SECRETIVE, *REFUSED])
def test_it_is_refused_and_not_repeated(given):
    with pytest.raises(FolderError) as caught:
        ScreenParameters(shards=given)
    assert SECRET not in str(caught.value)
    # Nor by what led to it, where somebody prints a traceback.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("given", SECRETIVE)
def test_a_form_refuses_a_secret_before_there_is_a_run(given):
    schema = parameter_schema(screen_cathodes).model_dump()
    with pytest.raises(FormError):
        validate({"parameters": {"shards": given}}, schema, raise_on_error=True)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("S3://bucket?scheme=http&endpoint_override=127.0.0.1:9000", None),
        ("gs://bucket/a?project_id=p", "gs://bucket/a?project_id=p"),
        ("abfs://container@account.dfs.core.windows.net/a", None),
        ("hdfs://me@host:8020/a", None),
        ("file:///a%20b/c", "/a b/c"),
        ("/a/b", "/a/b"),
        ("a/b", str(Path("a/b"))),
    ],
)
def test_what_is_allowed_is_kept_in_one_way(given, kept):
    found = ScreenParameters(shards=given).shards
    assert found == normalised(found)
    if kept is not None:
        assert found.endswith(kept)
    validate(
        {"parameters": {"shards": given}}, parameter_schema(screen_cathodes).model_dump(), raise_on_error=True
    )


def test_every_kind_is_told_of():
    with pytest.raises(FolderError) as caught:
        normalised("ftp://host/x")
    assert all(kind.example in str(caught.value) for kind in KINDS.values())
    assert all(normalised(kind.example) for kind in KINDS.values())


def test_it_decides_nothing():
    assert ScreenParameters(shards="s3://bucket/x").digest() == ScreenParameters().digest()


def test_two_that_choose_at_once_get_the_same(tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    first, second = (settle(paths, str(tmp_path / "results")) for _ in range(2))
    assert first == second == settle(paths, None) == str(shards_of(paths))
    assert Path(first).parent == tmp_path / "results"
    # Another database has a folder of its own there.
    assert settle(paths_of(tmp_path / "other.duckdb"), str(tmp_path / "results")) != first
    assert settle(paths, f"file://{tmp_path}/results") == first


def test_a_note_that_cannot_be_read_is_told_of(tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    settle(paths, str(tmp_path / "results"))
    paths.shards_note.write_text("{")
    with pytest.raises(FolderError, match=re.escape(str(paths.shards_note))):
        settle(paths, None)


def test_shards_are_not_left_behind_unasked(bench, tmp_path):
    write_good(bench.folder, ("lif.cif", "licl.cif"))
    bench.screen(paths="straight")
    paths = paths_of(bench.database)
    results = tmp_path / "results"
    with pytest.raises(FolderError, match=r"lihop db shards --move-to"):
        bench.screen(paths="straight", shards=str(results))
    vacuum.vacuum(paths)
    needed = sorted(path.name for path in paths.shards.iterdir())
    moved = moving.move_shards(paths, str(results))
    assert (moved.given, moved.n_shards) == (str(results), len(needed))
    assert sorted(path.name for path in Path(moved.shards).iterdir()) == needed
    assert list(paths.shards.iterdir()) == []
    assert bench.screen(paths="straight", shards=str(results)).n_computed == 0
    # And back beside the database, where nothing need be remembered.
    assert moving.move_shards(paths, str(paths.shards)).shards == str(paths.shards)
    assert remembered(paths) is None
    assert sorted(path.name for path in paths.shards.iterdir()) == needed


class TestCommands:
    """`lihop` with a results folder."""

    @pytest.mark.parametrize("where", ["flag", "variable", "file"])
    def test_a_secret_is_not_repeated(self, lihop, monkeypatch, tmp_path, where):
        if where == "variable":
            monkeypatch.setenv("LIHOP_SHARDS", SECRETIVE[0])
        if where == "file":
            (tmp_path / "lihop.toml").write_text(f'shards = "{SECRETIVE[0]}"\n')
        flags = ["--shards", SECRETIVE[0]] if where == "flag" else []
        result = lihop("screen", *flags)
        assert (result.code, result.is_one_message) == (2, True)
        assert SECRET not in result.err + result.out
        assert "environment" in result.err
        assert not any(SECRET in path.read_text() for path in tmp_path.rglob("*") if path.suffix == ".json")

    def test_doctor_tries_it_out(self, lihop, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        for given, ok in ((tmp_path, True), (tmp_path / "file", False), (tmp_path / "new", True)):
            monkeypatch.setenv("LIHOP_SHARDS", str(given))
            rows = {row["check"]: row for row in json.loads(lihop("doctor", "--json").out)}
            assert rows["results folder"]["ok"] is ok
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]

    def test_they_are_told_of(self, lihop, bench, tmp_path):
        write_good(bench.folder, ("lif.cif",))
        bench.screen(paths="straight", shards=str(tmp_path / "results"))
        found = json.loads(lihop("db", "shards", "--db", bench.database, "--json").out)
        assert found["given"] == str(tmp_path / "results")
        assert found["n_shards"] == len(("candidates", "hops", "descriptors"))
        told = lihop("db", "shards", "--db", bench.database).out
        assert found["shards"] in told
