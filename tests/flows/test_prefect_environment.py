"""Settings that come with lihop, and that no flow or task of ours can have Prefect write a pickle."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from flows.prefect_environment import SETTINGS, prepare_prefect

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("flows", "tasks", "models", "storage", "deployments")
           for path in sorted((ROOT / folder).rglob("*.py"))]  # fmt: skip
EVERYWHERE = ("PREFECT_RESULTS_DEFAULT_SERIALIZER",)
OF_SERVERS = ("PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER",)


def _decorated():
    """Yield where our flows and tasks are made, which of both it is, and with what keywords."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(called, ast.Name) and called.id in {"flow", "task"}:
                    given = decorator.keywords if isinstance(decorator, ast.Call) else []
                    yield (
                        f"{path.relative_to(ROOT)}:{node.name}",
                        called.id,
                        {one.arg: one.value for one in given},
                    )


def test_results_of_all_flows_and_tasks_are_kept_by_nobody():
    found = {where: given for where, _, given in _decorated()}
    flows = {where for where, kind, _ in _decorated() if kind == "flow"}
    assert {"flows/screen.py:screen_cathodes", "flows/sync_flow.py:sync_candidates",
            "flows/train_flow.py:train_barrier_model", "flows/train_flow.py:fit",
            "flows/predict_flow.py:predict_barriers", "flows/predict_flow.py:predict",
            "tasks/stages.py:run_here", "tasks/stages.py:run_in_pool"} <= found.keys()  # fmt: skip
    for where, given in found.items():
        persist = given.get("persist_result")
        assert isinstance(persist, ast.Constant), where
        assert persist.value is False, where
        # Of a flow that fails Prefect keeps the error all the same.
        if where in flows:
            serializer = given.get("result_serializer")
            assert isinstance(serializer, ast.Constant), where
            assert serializer.value == "json", where


def test_flows_and_tasks_are_made_in_no_other_way():
    """By `flow(...)` and `task(...)` as decorators, or the test above would overlook one."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("prefect", "flow"), ("prefect", "task")}, path
            if isinstance(node, ast.ImportFrom) and node.module == "prefect":
                assert all(one.asname is None for one in node.names), path


@pytest.mark.parametrize("name", ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY", *EVERYWHERE, *OF_SERVERS])
def test_what_a_user_has_set_stays(name, monkeypatch):
    for one in SETTINGS:
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, "their own")
    prepare_prefect()
    assert os.environ[name] == "their own"
    assert {one: os.environ[one] for one in SETTINGS if one != name} == {
        one: value for one, value in SETTINGS.items() if one != name
    }


def test_heartbeats_come_as_often_as_deployments_have_them():
    text = (ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8")
    assert f'PREFECT_FLOWS_HEARTBEAT_FREQUENCY: "{SETTINGS["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]}"' in text


@pytest.mark.parametrize("name", [*EVERYWHERE, *OF_SERVERS])
def test_images_and_the_server_of_the_guide_are_set_up_alike(name):
    line = f"{name}={SETTINGS[name]}"
    assert line in (ROOT / "deployments" / "Dockerfile").read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "guides" / "server-postgresql.md").read_text(encoding="utf-8")
    client = guide[guide.index("client.env <<END") :]
    assert line in (client[: client.index("\nEND")] if name in EVERYWHERE else guide)
