"""An API of Kubernetes that keeps the objects it is given, and takes only those that fit the schema."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "1.32"
GROUPS = {
    "api/v1": (
        "namespaces:Namespace",
        "services:Service",
        "secrets:Secret",
        "persistentvolumeclaims:PersistentVolumeClaim",
    ),
    "apis/apps/v1": ("deployments:Deployment", "statefulsets:StatefulSet"),
    "apis/batch/v1": ("jobs:Job",),
}
"""Group versions, and the resources and kinds that they have here."""


@dataclass
class Cluster:
    """A cluster that has an API and nothing else.

    Parameters
    ----------
    config : Path
        File that tells kubectl where it is.
    kept : dict
        Objects by their paths in the API.
    """

    config: Path
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def find(self, kind: str, name: str) -> dict[str, Any]:
        return next(
            one for one in self.kept.values() if (one["kind"], one["metadata"]["name"]) == (kind, name)
        )


def complaint(manifest: dict[str, Any]) -> str | None:
    """Return what is wrong with an object, unknown fields too, or nothing."""
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return None


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Serve an API on a free port of 127.0.0.1 until the end of the block."""
    here = Cluster(folder / "kubeconfig")

    class Handler(_Handler):
        kept = here.kept

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        where = f"http://127.0.0.1:{server.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": where}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": ""}}],
        }
        here.config.write_text(yaml.safe_dump(config), encoding="utf-8")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield here
        server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    kept: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = _described(path.strip("/")) or self.kept.get(path)
        self._answer(200, found) if found else self._refuse(404, "NotFound", path)

    def do_POST(self) -> None:
        given = self._body()
        if wrong := complaint(given):
            self._refuse(422, "Invalid", wrong)
            return
        path = f"{self.path.partition('?')[0]}/{given['metadata']['name']}"
        if path in self.kept:
            self._refuse(409, "AlreadyExists", path)
            return
        self.kept[path] = given
        self._answer(201, given)

    def do_PATCH(self) -> None:
        """Take what is put in the place of values; nothing that these tests do changes more."""
        kept, changes = self.kept[self.path.partition("?")[0]], self._body()
        for name, value in changes.items():
            kept[name] = kept.get(name, {}) | value if isinstance(value, dict) else value
        self._answer(200, kept)

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _refuse(self, code: int, reason: str, message: str) -> None:
        self._answer(
            code,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": code,
                "reason": reason,
                "message": message,
            },
        )

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


def _described(path: str) -> dict[str, Any] | None:
    """Return what an API says of itself: its version, groups and resources, and that it checks fields."""
    groups = [name.split("/")[1] for name in GROUPS if name != "api/v1"]
    of = {group: {"groupVersion": f"{group}/v1", "version": "v1"} for group in groups}
    said: dict[str, dict[str, Any]] = {
        "version": dict(zip(("major", "minor"), VERSION.split("."), strict=True)),
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": group, "versions": [one], "preferredVersion": one} for group, one in of.items()
            ],
        },
        "openapi/v3": {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in GROUPS}},
    }
    for name, resources in GROUPS.items():
        kinds = dict(one.split(":") for one in resources)
        said[name] = _resources(name, kinds)
        said[f"openapi/v3/{name}"] = _openapi(name, kinds)
    return said.get(path)


def _resources(name: str, kinds: dict[str, str]) -> dict[str, Any]:
    """Return the resources of a group version."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": name.partition("/")[2],
        "resources": [
            {
                "name": resource,
                "singularName": kind.lower(),
                "namespaced": kind != "Namespace",
                "kind": kind,
                "verbs": ["create", "get", "list", "patch", "update", "delete"],
            }
            for resource, kind in kinds.items()
        ],
    }


def _openapi(name: str, kinds: dict[str, str]) -> dict[str, Any]:
    """Return what kubectl looks for: that the API judges the fields of an object itself."""
    checks = {
        "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
        "responses": {"200": {"description": "Done."}},
    }
    group = "" if name == "api/v1" else name.split("/")[1]
    return {
        "openapi": "3.0.0",
        "info": {"title": name, "version": "1"},
        "paths": {
            f"/{name}/{resource}/{{name}}": {
                "patch": checks
                | {"x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind}}
            }
            for resource, kind in kinds.items()
        },
    }
