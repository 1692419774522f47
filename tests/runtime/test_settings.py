"""Where settings come from, which source wins, and what is said about a value that does not fit."""

import json
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL

STARTED = {
    "pid": 1,
    "temporal_address": "127.0.0.1:7",
    "temporal_ui_url": "http://127.0.0.1:8",
    "database_url": "postgresql://up/x",
    "simulator_url": "http://127.0.0.1:9",
    "openai_base_url": "http://127.0.0.1:9/v1",
    "openai_api_key": "simulator",
    "openai_model": "stand-in",
    "geocoding_url": "http://127.0.0.1:9",
    "fetch_allow": ["127.0.0.1:9"],
}


def load(folder: Path, *, run: object = None, dotenv: str = "", **environ: str) -> Settings:
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run))
    (folder / ".env").write_text(dotenv)
    return Settings.load({"STATE_DIR": str(folder), **environ}, dotenv=folder / ".env")


def test_without_anything_set_there_are_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.temporal_address == ""
    assert settings.worker_shutdown_grace_s == 10
    assert not settings.uses_simulator
    assert not settings.names_model


def test_the_environment_goes_before_the_file_and_the_file_before_what_up_wrote(
    tmp_path: Path,
) -> None:
    settings = load(
        tmp_path,
        run=STARTED,
        dotenv="DATABASE_URL=postgresql://file/x\nHEALTH_PORT=2\n",
        HEALTH_PORT="3",
    )

    assert settings.health_port == 3
    assert settings.database_url.get_secret_value() == "postgresql://file/x"
    assert settings.temporal_address == "127.0.0.1:7"


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    settings = load(tmp_path, run=STARTED, dotenv="OPENAI_API_KEY=\n", OPENAI_BASE_URL="")

    assert settings.openai_base_url == STARTED["openai_base_url"]
    assert settings.uses_simulator


@pytest.mark.parametrize(
    ("environ", "model_from_up", "database_from_up"),
    [
        ({}, True, True),
        ({"OPENAI_API_KEY": "sk"}, False, True),
        ({"OPENAI_BASE_URL": "http://x/v1"}, False, True),
        ({"OPENAI_API_KEY": "sk", "SIMULATOR": "ON"}, True, True),
        ({"SIMULATOR": "off"}, False, True),
        ({"TEMPORAL_ADDRESS": "there:7233"}, False, True),
        ({"DATABASE_URL": "postgresql://mine/x"}, True, False),
    ],
)
def test_what_up_wrote_fills_only_what_is_left_open(
    tmp_path: Path, environ: dict[str, str], model_from_up: bool, database_from_up: bool
) -> None:
    settings = load(tmp_path, run=STARTED, **environ)

    assert (settings.openai_base_url == STARTED["openai_base_url"]) is model_from_up
    assert settings.uses_simulator is model_from_up
    found = settings.database_url.get_secret_value()
    assert (found == STARTED["database_url"]) is database_from_up


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"TEMPORAL_ADDRESS": "there:7233"},
        {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": "http://x/v1", "OPENAI_MODEL": "x"},
        {"SIMULATOR": "on"},
    ],
)
@pytest.mark.parametrize("run", [None, STARTED])
def test_an_address_of_the_simulator_switches_it_on_whatever_else_is_set(
    tmp_path: Path, environ: dict[str, str], run: object
) -> None:
    settings = load(tmp_path, run=run, SIMULATOR_URL="http://sim:8230/", **environ)

    assert settings.uses_simulator
    assert settings.names_model
    assert settings.simulator_url == "http://sim:8230"
    assert settings.openai_base_url == "http://sim:8230/v1"
    assert settings.openai_api_key.get_secret_value() == "simulator"
    assert settings.openai_model == SIMULATOR_MODEL
    assert (settings.geocoding_url, settings.forecast_url) == ("http://sim:8230",) * 2
    assert "sim:8230" in settings.fetch_allow


def test_the_simulator_is_off_where_it_says_so_in_spite_of_its_address(tmp_path: Path) -> None:
    settings = load(tmp_path, run=STARTED, SIMULATOR_URL="http://sim:8230", SIMULATOR="off")

    assert not settings.uses_simulator
    assert not settings.names_model
    assert settings.geocoding_url == Settings().geocoding_url


def test_a_weather_service_of_ones_own_stays_beside_the_simulator(tmp_path: Path) -> None:
    settings = load(tmp_path, SIMULATOR_URL="http://sim:8230", FORECAST_URL="http://weather")

    assert settings.forecast_url == "http://weather"
    assert settings.geocoding_url == "http://sim:8230"


@pytest.mark.parametrize("url", ["sim:8230", "on", "http://", "http://sim:8230/v1", "ftp://sim"])
def test_an_address_of_the_simulator_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SIMULATOR_URL is not usable: "):
        load(tmp_path, SIMULATOR_URL=url)


def test_addresses_to_fetch_from_are_a_list_to_which_up_adds(tmp_path: Path) -> None:
    settings = load(tmp_path, run=STARTED, FETCH_ALLOW="a:1, b:2 ,,127.0.0.1:9")

    assert settings.fetch_allow == ("a:1", "b:2", "127.0.0.1:9")


def test_temporals_own_variables_are_kept_from_the_file_and_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, dotenv="TEMPORAL_API_KEY=top\nOTHER=1\n", TEMPORAL_DOTENV="x")

    assert settings.temporal_dotenv.keys() == {"TEMPORAL_API_KEY"}
    assert "top" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEMPORAL_PORT", "abc"),
        ("HEALTH_PORT", "65536"),
        ("WORKER_SHUTDOWN_GRACE_S", "0"),
        ("LOG_LEVEL", "loud"),
        ("SIMULATOR", "maybe"),
        ("WORKER_SANDBOX", "perhaps"),
    ],
)
def test_a_value_that_does_not_fit_names_its_variable(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is not usable: .*\\.$"):
        load(tmp_path, **{name: value})


def test_the_level_of_the_log_is_taken_in_any_case(tmp_path: Path) -> None:
    assert load(tmp_path, LOG_LEVEL="info").log_level == "INFO"


@pytest.mark.parametrize("content", ["{", "[1]", "7", "null", "\udcff"])
def test_a_run_file_that_cannot_be_read_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(ConfigurationError, match=r"run\.json cannot be read .*Delete it and run"):
        load(tmp_path)


def test_a_file_of_variables_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"A=\xff")

    with pytest.raises(ConfigurationError, match="lines NAME=VALUE"):
        Settings.load({}, dotenv=tmp_path / "env")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(load(tmp_path, DATABASE_URL="postgresql://a:geheim@b/c", OPENAI_API_KEY="geheim"))

    assert "geheim" not in shown
