"""The profiles of docker-compose.yml: simulator, roles, cluster, observability."""

import re

import pytest
import yaml

from durable_agents.models import queues
from durable_agents.runtime import simulated
from durable_agents.runtime.embedded import temporal_server
from durable_agents.runtime.settings import Settings
from tests.deploy.composed import (
    CLUSTER,
    OBSERVABILITY,
    OURS,
    ROOT,
    SERVICES,
    WORKERS,
    stages,
)
from workers.roles import ROLES


@pytest.mark.parametrize("role", ROLES)
def test_workers_of_one_role_can_be_added_and_differ_in_nothing_else(role: str) -> None:
    everything, one = SERVICES["worker"], dict(SERVICES[f"worker-{role}"])

    assert one.pop("command") == [*everything["command"], "--role", role]
    assert one.pop("profiles") == ["roles"]
    assert one.pop("deploy") == {"replicas": f"${{{role.upper()}_WORKERS:-1}}"}
    own = ("build", "ports", "command", "deploy")
    assert one == {name: value for name, value in everything.items() if name not in own}


def test_a_server_of_the_cluster_takes_the_place_of_the_dev_server() -> None:
    dev, cluster, ui = (SERVICES[name] for name in ("temporal", "cluster", "cluster-ui"))

    assert dev["deploy"] == {"replicas": "${TEMPORAL_DEV_SERVERS:-1}"}
    assert "temporal" in cluster["networks"]["default"]["aliases"]
    assert [port.rpartition(":")[0] for port in (*cluster["ports"], *ui["ports"])] == [
        port.rpartition(":")[0] for port in dev["ports"]
    ]
    for name in (*WORKERS, "retention"):
        prepared = SERVICES[name]["depends_on"]["cluster-namespace"]
        assert prepared == {"condition": "service_completed_successfully", "required": False}
    told = SERVICES["cluster-schema"]["environment"]["DEV_SERVERS"]
    assert told == "${TEMPORAL_DEV_SERVERS:-1}", "the script refuses to begin beside one"
    assert int(cluster["environment"]["NUM_HISTORY_SHARDS"].strip("${}").partition(":-")[2]) > 1


def test_the_cluster_is_told_what_the_dev_server_is() -> None:
    dynamic = temporal_server._DYNAMIC_CONFIG  # pyright: ignore[reportPrivateUsage]
    attributes = temporal_server._SEARCH_ATTRIBUTES  # pyright: ignore[reportPrivateUsage]
    told = yaml.safe_load((CLUSTER / "dynamicconfig.yaml").read_text(encoding="utf-8"))
    script = (CLUSTER / "namespace.sh").read_text(encoding="utf-8")

    assert {name: str(one[0]["value"]).lower() for name, one in told.items()}.items() <= (
        dynamic.items()
    )
    assert f"for name in {' '.join(attributes)}; do" in script
    assert f"--retention {temporal_server.RETENTION.days}d" in script
    for kind in ("Read", "Write"):
        (partitions,) = told[f"matching.numTaskqueue{kind}Partitions"]
        assert partitions["constraints"] == {"taskQueueName": queues.LLM}


@pytest.mark.parametrize("name", [n for n in SERVICES if SERVICES[n].get("profiles", [""])[0]])
def test_what_a_profile_mounts_is_there_and_can_only_be_read(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source, _, rest = volume.partition(":")

        if source.startswith("."):
            assert rest.endswith(":ro")
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_foreign_images_of_profiles_are_pinned(name: str) -> None:
    found = re.fullmatch(
        r"(?:\$\{\w+:-)?([\w/-]+):(?:\$\{\w+:-)?([\w.]+)}?", SERVICES[name]["image"]
    )

    assert found
    if SERVICES[name].get("profiles"):
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", found[2])


def test_prometheus_asks_every_worker_and_the_servers_where_they_listen() -> None:
    config = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {one["job_name"]: one for one in config["scrape_configs"]}
    (workers,) = jobs["durable-agents"]["dns_sd_configs"]
    (cluster,) = jobs["temporal"]["dns_sd_configs"]

    assert workers["names"] == WORKERS
    assert workers["port"] == SERVICES["worker"]["environment"]["HEALTH_PORT"]
    assert cluster["names"] == ["cluster"]
    metrics_at = SERVICES["cluster"]["environment"]["PROMETHEUS_ENDPOINT"]
    assert metrics_at == f"0.0.0.0:{cluster['port']}"
    (rules,) = config["rule_files"]
    mounted = [one.split(":")[1] for one in SERVICES["prometheus"]["volumes"]]
    assert rules in mounted
    assert "/etc/prometheus/prometheus.yml" in mounted
    asked = SERVICES["prometheus"]["healthcheck"]["test"]
    assert asked == ["CMD", "promtool", "query", "instant", "http://127.0.0.1:9090", "1"]


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    provisioning = OBSERVABILITY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards" / "durable-agents.yaml").read_text())
    mounted = {one.split(":")[1]: one.split(":")[0] for one in SERVICES["grafana"]["volumes"]}

    (source,) = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = providers["providers"]
    assert mounted[provider["options"]["path"]] == "./deploy/observability/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/observability/grafana/provisioning"


def test_the_collector_takes_what_workers_send_and_passes_it_on() -> None:
    text = (OBSERVABILITY / "otel-collector.yaml").read_text(encoding="utf-8")
    config, service_of = yaml.safe_load(text), SERVICES["collector"]
    pipeline = config["service"]["pipelines"]["traces"]

    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    assert service_of["ports"][0].endswith(":4318")
    assert set(pipeline["processors"]) == set(config["processors"])
    assert pipeline["exporters"] == ["${env:TRACES_EXPORTER}"]
    assert set(re.findall(r"\$\{env:(\w+)}", text)) == service_of["environment"].keys()
    default = service_of["environment"]["TRACES_EXPORTER"].strip("${}").partition(":-")[2]
    assert default in config["exporters"]


def test_the_worker_uses_the_simulator_while_its_profile_is_on() -> None:
    listens = re.search(r"^EXPOSE (\d+)$", stages()[-2], re.MULTILINE)

    assert listens
    assert f"http://simulator:{listens[1]}" == simulated.OF_THE_PROFILE
    assert SERVICES["simulator"]["profiles"] == [simulated.PROFILE]
    assert SERVICES["worker"]["environment"]["SIMULATOR_PROFILES"] == "${COMPOSE_PROFILES:-}"


@pytest.mark.parametrize(
    ("profiles", "used"),
    [
        ("simulator", True),
        ("observability,simulator", True),
        ("observability, simulator", True),
        ("observability", False),
        ("", False),
    ],
)
def test_other_profiles_neither_switch_the_simulator_on_nor_off(profiles: str, used: bool) -> None:
    environ = {"SIMULATOR_PROFILES": profiles, "TEMPORAL_ADDRESS": "temporal:7233"}

    settings = Settings.load(environ, dotenv=None, use_run_file=False)

    assert settings.uses_simulator is used
    assert settings.names_model is used
