"""`.env.example` fits the settings and docker-compose.yml."""

import re
from itertools import pairwise

import pytest

from durable_agents.runtime.settings import Settings
from tests.deploy.composed import (
    ASSIGNMENT,
    COMPOSE,
    CONTAINERS,
    EXAMPLE,
    FILES,
    INTERPOLATED,
    OF_COMPOSE_ITSELF,
    ROOT,
    SERVICES,
    example_names,
)


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


@pytest.mark.parametrize("name", FILES)
def test_no_path_of_a_machine_stands_in(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|work|Users|mnt|home/(?!temporal\b))", FILES[name])
