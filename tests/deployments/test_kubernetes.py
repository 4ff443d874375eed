"""The guide to Kubernetes: kubectl applies it to an API that takes nothing that the schema does not know."""

from __future__ import annotations

import base64
import copy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployments.guide import ROOT, Reader, blocks
from tests.servers.kubernetes import cluster, complaint

FILES = ROOT / "deployments" / "kubernetes"


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """Return what a cluster has once somebody has followed the guide, twice: that changes nothing."""
    assert shutil.which("kubectl"), "kubectl is not here: install it, as .ci/run does"
    root = tmp_path_factory.mktemp("applied")
    with cluster(root) as here, Reader(root, {}, {"KUBECONFIG": str(here.config)}) as reader:
        shutil.copytree(FILES, root / "home" / "deployments" / "kubernetes")
        for block in blocks("kubernetes"):
            reader.follow(block)
        before = here.kept.keys()
        for block in blocks("kubernetes")[1:]:
            reader.follow(block)
        assert here.kept.keys() == before
        yield here


@pytest.fixture(scope="module")
def pods(applied):
    """Return the pods that would run, by the names of what starts them."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in applied.kept.values()
        if "template" in one.get("spec", {})
    }


def test_all_is_there(applied, pods):
    assert pods.keys() == {"database", "server", "deploy", "cpu-worker", "gpu-worker"}
    kinds = sorted(one["kind"] for one in applied.kept.values())
    assert kinds == ["Deployment", "Deployment", "Deployment", "Job", "Namespace", "PersistentVolumeClaim",
                     "PersistentVolumeClaim", "Secret", "Secret", "Secret", "Service", "Service",
                     "StatefulSet"]  # fmt: skip
    assert {one["metadata"].get("namespace", "lihop") for one in applied.kept.values()} == {"lihop"}


def test_what_pods_refer_to_is_there(applied, pods):
    there = {(one["kind"], one["metadata"]["name"]) for one in applied.kept.values()}
    for pod in pods.values():
        asked = {
            ("Secret", source["secretRef"]["name"]) for source in pod["containers"][0].get("envFrom", [])
        }
        for volume in pod["volumes"]:
            if "secret" in volume:
                asked.add(("Secret", volume["secret"]["secretName"]))
            if "persistentVolumeClaim" in volume:
                asked.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        assert asked <= there


def test_the_secrets_fit_each_other(applied):
    def values(name):
        data = applied.find("Secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    password = values("lihop-database")["password"].strip()
    server, client = values("lihop-server"), values("lihop-client")
    assert len(password) == 48
    assert f"lihop:{password}@database:5432/prefect" in server["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert client["PREFECT_API_AUTH_STRING"] == server["PREFECT_SERVER_API_AUTH_STRING"]
    assert password not in str(client)
    assert client["PREFECT_API_URL"] == "http://server:4200/api"
    for name, port in (("server", 4200), ("database", 5432)):
        assert [one["port"] for one in applied.find("Service", name)["spec"]["ports"]] == [port]


def test_services_reach_their_pods_and_nobody_outside(applied):
    for name in ("server", "database"):
        service = applied.find("Service", name)["spec"]
        assert service.get("type", "ClusterIP") == "ClusterIP"
        kind = "Deployment" if name == "server" else "StatefulSet"
        labels = applied.find(kind, name)["spec"]["template"]["metadata"]["labels"]
        assert service["selector"].items() <= labels.items()


def test_pods_have_no_rights_and_say_what_they_need(pods):
    for name, pod in pods.items():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        if name != "deploy":
            assert {"startupProbe", "livenessProbe"} <= container.keys()
    assert pods["gpu-worker"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in pods["cpu-worker"]["containers"][0]["resources"]["limits"]


def test_the_server_keeps_who_holds_a_limit(pods):
    """In files of its home, as the image says: it would never give a place back that it has forgotten."""
    (container,) = pods["server"]["containers"]
    assert {"name": "PREFECT_HOME", "value": "/prefect"} in container["env"]
    assert {"name": "server", "mountPath": "/prefect"} in container["volumeMounts"]


@pytest.mark.parametrize("name", ["cpu-worker", "gpu-worker"])
def test_workers_share_the_results(pods, name):
    (container,) = pods[name]["containers"]
    assert f"lihop-{name[:3]}" in container["command"]
    assert {"name": "results", "mountPath": "/results"} in container["volumeMounts"]


def test_what_is_unknown_is_refused(applied, tmp_path):
    """By the schema, and by kubectl in turn."""
    server = applied.find("Deployment", "server")
    wrong = copy.deepcopy(server)
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Always"
    assert complaint(server) is None
    assert "imagePullPolcy" in (complaint(wrong) or "")
    wrong["metadata"] = {"name": "wrong", "namespace": "lihop"}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(applied.config), "apply", "--filename", "wrong.yaml"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0
    assert "imagePullPolcy" in done.stderr


def test_every_file_is_applied():
    listed = yaml.safe_load((FILES / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert {path.name for path in FILES.iterdir()} == {*listed, "kustomization.yaml"}


@pytest.mark.parametrize("line", [
    line.removeprefix("$ ") for block in blocks("kubernetes", "console") for line in block.text.splitlines()
    if line.startswith("$ kubectl")
])  # fmt: skip
def test_kubectl_knows_every_command_of_the_guide(line):
    """Asked for help with all the flags given: an unknown command or flag is an error of its own."""
    words = line.partition(" -- ")[0].partition(" >")[0].split()
    for flag, known in (("--help", True), ("--no-such-flag", False)):
        done = subprocess.run([*words, flag], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is known, done.stderr
    assert Path(words[0]).name == "kubectl"
