"""The manifests fit Kubernetes' schema and the rest of the project; a cluster is not needed."""

import copy
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]
import pytest
import yaml
from starlette.routing import Route

from durable_agents.runtime.settings import Settings
from inbox.middleware import HEALTH
from inbox.serving import GRACE_S
from starters.main import COMMANDS
from tests.deploy.units import ROOT, read_environment
from workers.announcing import END_MARGIN_S
from workers.health import application
from workers.roles import ROLES
from workers.supervisor import DRAIN_MARGIN_S, Supervisor

FOLDER = ROOT / "deploy" / "kubernetes"
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    """Every object that the kustomization names."""
    for file in kustomization()["resources"]:
        yield from yaml.safe_load_all((FOLDER / file).read_text(encoding="utf-8"))


def kustomization() -> Manifest:
    return yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))


def validate(manifest: Manifest) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(manifest, version, strict=True)  # pyright: ignore[reportUnknownMemberType]


def label(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


ALL = {label(manifest): manifest for manifest in manifests()}
PODS = {
    name: manifest["spec"]["template"]["spec"]
    for name, manifest in ALL.items()
    if "template" in manifest.get("spec", {})
}
SERVING = [name for name in PODS if name.startswith("Deployment-")]
PROBES = ("startup", "readiness", "liveness")
SETTINGS: dict[str, str] = ALL["ConfigMap-durable-agents"]["data"]


@pytest.mark.parametrize("name", ALL)
def test_every_manifest_fits_the_schema(name: str) -> None:
    validate(ALL[name])


def test_a_manifest_that_does_not_fit_is_noticed() -> None:
    wrong = copy.deepcopy(ALL["Deployment-inbox"])
    wrong["spec"]["replica"] = 2

    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        validate(wrong)


def test_the_kustomization_names_every_file_and_the_image() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    (image,) = kustomization()["images"]

    assert set(kustomization()["resources"]) == files
    assert {pod["containers"][0]["image"] for pod in PODS.values()} == {image["name"]}


def test_every_role_has_a_deployment_and_a_budget_for_disruptions() -> None:
    for role in ROLES:
        pod = PODS[f"Deployment-worker-{role}"]
        budget = ALL[f"PodDisruptionBudget-worker-{role}"]["spec"]

        assert pod["containers"][0]["args"] == ["python", "-m", "workers", "--role", role]
        assert budget["selector"] == ALL[f"Deployment-worker-{role}"]["spec"]["selector"]
        assert budget["maxUnavailable"] < ALL[f"Deployment-worker-{role}"]["spec"]["replicas"]


@pytest.mark.parametrize("name", SERVING)
def test_a_deployment_selects_its_own_pods(name: str) -> None:
    spec = ALL[name]["spec"]

    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert labels["app.kubernetes.io/component"] == ALL[name]["metadata"]["name"]


def of_version(*args: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(FOLDER / "version.sh"), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_workers_of_a_version_run_beside_those_of_others_and_differ_in_nothing_else() -> None:
    workers = [one for one in ALL.values() if one["metadata"]["name"].startswith("worker-")]
    image = "registry.example.com:5000/durable-agents:v2"

    written = of_version("0.2.0", image)

    found = list(yaml.safe_load_all(written.stdout))
    assert len(found) == len(workers) == 2 * len(ROLES)
    for manifest, plain in zip(found, workers, strict=True):
        validate(manifest)
        if manifest["kind"] == "Deployment":
            pod = manifest["spec"]["template"]
            (container,) = pod["spec"]["containers"]
            assert container.pop("env") == [{"name": "WORKER_BUILD_ID", "value": "0.2.0"}]
            assert container["image"] == image
            container["image"] = kustomization()["images"][0]["name"]
            assert pod["metadata"].pop("labels") == manifest["spec"]["selector"]["matchLabels"]
        name = plain["metadata"]["name"]
        selected = manifest["spec"].pop("selector")["matchLabels"].values()
        assert {manifest["metadata"].pop("name"), *selected} == {f"{name}-0-2-0"}
        assert _without_names(plain) == manifest


@pytest.mark.parametrize(
    "args", [("",), ("v2",), ("V2", "i"), ("v2-", "i"), ("v_2", "i"), ("v" * 41, "i")]
)
def test_a_version_that_no_pod_can_be_named_after_is_refused(args: tuple[str, ...]) -> None:
    refused = of_version(*args)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith(" Usage: sh version.sh VERSION IMAGE\n")


def _without_names(manifest: Manifest) -> Manifest:
    plain = copy.deepcopy(manifest)
    del plain["metadata"]["name"], plain["spec"]["selector"]
    plain["spec"].get("template", {"metadata": {"labels": {}}})["metadata"].pop("labels")
    return plain


@pytest.mark.parametrize("name", PODS)
def test_pods_have_no_rights_to_lose(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in dockerfile()
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == ALL["ServiceAccount-durable-agents"]["metadata"]["name"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp"}  # noqa: S108
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", PODS)
def test_pods_take_variables_from_the_settings_and_the_secret_and_from_no_service(
    name: str,
) -> None:
    (container,) = PODS[name]["containers"]

    assert container["envFrom"] == [
        {"configMapRef": {"name": "durable-agents"}},
        {"secretRef": {"name": "durable-agents"}},
    ]
    assert PODS[name]["enableServiceLinks"] is False  # INBOX_PORT would be tcp://...


@pytest.mark.parametrize("name", SERVING)
def test_probes_ask_for_pages_that_are_there(name: str) -> None:
    (container,) = PODS[name]["containers"]
    supervisor = Supervisor(["llm"], processes=1, grace_s=1)
    of_workers = {
        route.path for route in application(supervisor).routes if isinstance(route, Route)
    }

    there = {HEALTH} if "inbox" in name else of_workers
    (port,) = container["ports"]
    if "inbox" not in name:  # while a worker waits for its parts it lives, and is not ready
        paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in PROBES}
        assert paths == {"startup": "/livez", "readiness": "/healthz", "liveness": "/livez"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
        assert container[probe]["httpGet"]["path"] in there
    listens = container["args"][-1] if "inbox" in name else SETTINGS["HEALTH_PORT"]
    assert str(port["containerPort"]) == listens


def test_pods_have_time_to_drain() -> None:
    drain = Settings().worker_shutdown_grace_s + DRAIN_MARGIN_S + END_MARGIN_S

    for role in ROLES:
        assert PODS[f"Deployment-worker-{role}"]["terminationGracePeriodSeconds"] > drain
    assert PODS["Deployment-inbox"]["terminationGracePeriodSeconds"] > GRACE_S


def test_what_is_started_is_a_command_of_ours() -> None:
    commands = [
        PODS[name]["containers"][0]["args"][:2] for name in ("Deployment-inbox", "Job-migrate")
    ]

    assert [program for program, _ in commands] == ["durable-agents"] * 2
    assert {command for _, command in commands} <= set(COMMANDS)


def test_every_variable_means_something() -> None:
    secrets = read_environment(FOLDER / "secrets.env.example")
    known = {name.upper() for name in Settings.model_fields}

    assert SETTINGS.keys() | secrets.keys() <= known
    assert not SETTINGS.keys() & secrets.keys()
    loaded = Settings.load(SETTINGS, dotenv=None, use_run_file=False)
    assert loaded.temporal_address == SETTINGS["TEMPORAL_ADDRESS"]
    page = PODS["Deployment-inbox"]["containers"][0]["startupProbe"]
    assert 0 < loaded.startup_wait_s < page["periodSeconds"] * page["failureThreshold"]


@pytest.mark.parametrize("name", ["settings.yaml", "secrets.env.example"])
def test_what_is_commented_out_means_something_too(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    known = {name.upper() for name in Settings.model_fields}

    shown = dict(re.findall(r"^ *# ([A-Z][A-Z_]+)(?:: |=)(.*)$", text, re.MULTILINE))

    assert shown
    assert {name for name in shown if not name.startswith(("AWS_", "TEMPORAL_"))} <= known
    values = {name: value.strip('"') for name, value in shown.items()}
    Settings.load(values, dotenv=None, use_run_file=False)


def dockerfile() -> str:
    return Path(ROOT / "Dockerfile").read_text(encoding="utf-8")
